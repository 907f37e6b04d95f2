"""The report: verdict words, choice on validation, tables, figures, a page and an index that need no network."""

from __future__ import annotations

import base64
import csv
import re

import example_rows
import nbformat
import numpy as np
import pytest

from edgebook.errors import BadInput
from edgebook.metrics import intervals as stats
from edgebook.report import pairs
from edgebook.report import theme as look
from edgebook.report.aggregate import files, merge
from edgebook.report.answer import answer, choose, front
from edgebook.report.pages.notebook_page import index, page
from edgebook.report.plots import figures
from edgebook.report.tables import few, html_table, show, table
from edgebook.rows import COLUMNS, new_row, read_rows, write_rows

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
LOADS = re.compile(r"""(?:src|href|action|data|poster)\s*=\s*["']?\s*(?:https?:)?//|url\(\s*["']?(?:https?:)?//|@import""")


@pytest.fixture
def run(tmp_path):
    """A run's folder with the example rows, one page, and nothing else."""
    made: dict[str, list] = {}
    for row in example_rows.rows():
        made.setdefault(row["execution"], []).append(row)
    for name, rows in made.items():
        write_rows(tmp_path / "rows" / f"{name}.jsonl", rows)
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "10_baseline--mnist1d-conv1d--s0.html").write_text("<p>page</p>")
    return tmp_path


def pair(**better):
    """A baseline and one other row."""
    base = example_rows.baselines()[0]
    values = {"score": 0.937, "val": 0.9375, "size": 9000, "latency": 0.02, "family": "quantize", "method": "int8"}
    return [base, example_rows.example("other", **(values | better))]


# Choice


def test_choice_is_on_validation_not_on_test():
    base = example_rows.baselines()[0]
    common = {"family": "prune", "method": "prune"}
    lucky = example_rows.example("lucky on test", score=0.95, val=0.92, size=3000, latency=0.004, **common)
    honest = example_rows.example("good on validation", score=0.93, val=0.937, size=9000, latency=0.02, **common)
    rows = [base, lucky, honest]
    assert choose(rows)["label"] == "good on validation"
    assert "good on validation" in answer(rows)
    beaten = example_rows.example("best on test", score=0.99, val=0.90, size=9500, latency=0.03, **common)
    assert {row["label"] for row in front([*rows, beaten])} == {"lucky on test", "good on validation", "float baseline"}


def test_a_random_control_is_never_what_ships():
    rows, cheap = pair(), {"score": 0.95, "val": 0.99, "size": 10, "latency": 0.0001, "family": "prune"}
    lucky = example_rows.example("lucky", method="prune-random+int8-static", **cheap)
    assert choose([*rows, lucky])["label"] == choose(rows)["label"]
    assert "lucky" not in [row["label"] for row in front([*rows, lucky])]
    assert choose([*rows, {**lucky, "method": "prune-l2+int8-static"}])["label"] == "lucky"


def test_choice_keeps_the_limits_and_never_takes_eager_pytorch():
    rows = example_rows.baselines() + example_rows.quantized()
    assert choose(rows)["label"] == "prune l2 50% + int8 √"
    assert choose(rows, max_loss=0.001)["label"] == "int8"
    assert choose(rows, runtime="onnx")["runtime"] == "onnx"
    assert choose(rows, max_loss=0.01, max_size_bytes=4000)["label"] == "codebook 4 bit"  # no latency: by size
    assert choose(rows, max_loss=0.01, max_size_bytes=4000, max_latency_ms=1.0) is None  # its latency is not known
    assert choose(rows, max_size_bytes=10) is None
    assert "keeps the limits" in answer(rows, max_size_bytes=10)
    fast_torch = example_rows.example(
        "eager", score=0.94, val=0.94, size=100, latency=0.0001, family="prune", method="prune", runtime="torch"
    )
    assert choose([*rows, fast_torch])["label"] == "prune l2 50% + int8 √"
    assert fast_torch not in front([*rows, fast_torch])


def test_equally_fast_means_the_smaller_one():
    rows = pair(latency=0.0200)
    smaller = {"score": 0.937, "val": 0.9375, "family": "prune", "method": "p", "size": 5000, "latency": 0.0204}
    assert choose([*rows, example_rows.example("smaller", **smaller)])["label"] == "smaller"
    assert choose([*rows, example_rows.example("slower", **(smaller | {"latency": 0.03}))])["label"] == "other"


def test_a_lucky_seed_does_not_decide():
    base = example_rows.baselines()[0]
    common = {"family": "distill", "method": "distill", "size": 5000, "latency": 0.01}
    rows = [example_rows.example("student", score=0.93, val=val, seed=seed, **common)
            for seed, val in enumerate((0.945, 0.90, 0.90))]  # fmt: skip
    assert choose([base, *rows])["label"] == "float baseline"
    good = [row | {"val_score": val} for row, val in zip(rows, (0.936, 0.939, 0.938), strict=True)]
    assert choose([base, *good])["seed"] == 1


@pytest.mark.parametrize(
    ("score", "latency", "said", "never"),
    [
        (0.9372, 0.0318, ("the same as the float baseline", "as fast as"), ("better", "faster", "worse")),
        (0.9560, 0.0100, ("better than", "times faster"), ("worse", "slower")),
        (0.9150, 0.0500, ("worse than", "slower"), ("better", "times faster")),
        (0.9335, 0.0312, ("cannot tell from the float baseline", "cannot tell whether faster"), ("better", "worse")),
    ],
)
def test_words_follow_the_verdicts(score, latency, said, never):
    rows = pair(score=score, latency=latency)
    text = answer(rows, max_loss=1.0, max_size_bytes=10_000)
    assert all(word in text for word in said), text
    assert not any(word in text for word in never), text
    shown = table(rows).set_index("version").loc["other"]
    assert (shown["verdict"], shown["speed verdict"]) == (rows[1]["verdict"], rows[1]["speed_verdict"])
    chips = re.findall(r'class="eb-v [^"]*">([^<]*)<', html_table(rows))
    assert chips == [rows[1]["verdict"], rows[1]["speed_verdict"]]  # and none for the baseline itself


# Tables


def test_table_shows_figures_with_intervals_units_and_reasons():
    frame = table(example_rows.rows())
    assert {"accuracy, %", "difference, points", "size, kB", "smaller, ×", "latency, ms", "speed-up, ×"} <= set(frame)
    line = frame[(frame["version"] == "int8") & (frame["runtime"] == "onnx")].iloc[0]
    lo, hi = stats.wilson(3746, 4000)
    assert line["accuracy, %"] == f"93.7 ({100 * lo:.1f}–{100 * hi:.1f})"
    assert line["size, kB"] == "9.0"
    assert frame[frame["version"] == "int16x8"]["status"].item() == "this target cannot run it: GRU: no 16x8 kernel"
    assert frame[frame["version"] == "codebook 4 bit"]["latency, ms"].item() == "–"
    assert len(table(example_rows.rows(), "all")) == len(example_rows.rows())
    assert list(table(example_rows.sweep(), ["label", "asked.pruning_ratio"])["asked.pruning_ratio"])[:2] == [0.25, 0.5]
    with pytest.raises(BadInput, match="short"):
        table(example_rows.rows(), "narrow")


def test_several_seeds_become_mean_sd_and_n():
    rows = example_rows.seeds()
    (merged,) = merge(rows)
    over = stats.over_seeds([row["score"] for row in rows])
    assert (merged["score"], merged["score_lo"], merged["extra"]["n_seeds"]) == (over["mean"], over["lo"], 3)
    assert table(rows)["accuracy, %"].item() == f"93.2 (± {100 * over['sd']:.1f}, n = 3)"
    assert merged["verdict"] == stats.verdict(merged["delta_lo"], merged["delta_hi"])
    assert merge([merged]) == [merged]
    assert merge(rows[:1]) == rows[:1]


def test_other_metrics_are_not_shown_as_percent():
    rows = [row | {"metric": "r2"} for row in pair()]
    assert "r2" in table(rows)
    assert table(rows)["r2"].iloc[1].startswith("0.937")
    assert "points" not in answer(rows)
    assert "test r2 0.937" in answer(rows)


def test_html_table_escapes_and_scopes():
    text = html_table(example_rows.rows())
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert text.count('scope="col"') == 7
    assert text.count('scope="row"') == len(merge(example_rows.rows()))
    assert "<table" in show(example_rows.rows())._repr_html_()
    assert "No rows" in html_table([])


def test_one_file_is_one_line_and_compare_replaces_it():
    (first, *_) = example_rows.quantized()
    again = first | {"row_id": "again", "notebook": "90_compare", "latency_ms_p50": 0.019}
    later = first | {"row_id": "later", "notebook": "45_combine"}
    assert files([first, again, later]) == [again]


# Figures


def test_figures_draw_what_the_rows_say():
    rows = example_rows.baselines() + example_rows.sweep() + example_rows.quantized() + example_rows.all_wrong()
    line = figures.against(rows).axes[0]
    assert list(line.lines[0].get_xdata()) == [0.25, 0.5, 0.75, 0.9]
    assert line.lines[0].get_ydata()[0] == pytest.approx(93.62)
    assert "float baseline" in [text.get_text() for text in line.get_legend().get_texts()]
    assert figures.pareto(rows, x="latency_ms_p50").get_label() == "Test accuracy against latency"
    assert len(figures.bars(rows, y="latency_ms_p50", x="precision").axes[0].patches) >= 7
    assert len(figures.learning_curve([{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0, "val_score": 0.5}]).axes) == 2
    for figure in (figures.pareto(rows), figures.bars(rows), figures.confusion([[8, 2], [0, 5]], ["a", "b"])):
        text = look.svg(figure)
        assert f"<title>{figure.get_label()}</title>" in text
        assert len(text) < 60_000
        assert not LOADS.search(text)


def test_confusion_is_percent_of_the_true_class_and_square():
    texts = [text.get_text() for text in figures.confusion([[3, 1], [0, 5]]).axes[0].texts]
    assert texts == ["75", "25", "100"]
    with pytest.raises(BadInput, match="square"):
        figures.confusion([[1, 2, 3]])


@pytest.mark.parametrize("draw", [figures.pareto, figures.against, figures.bars])
def test_nothing_to_draw_is_said(draw):
    with pytest.raises(BadInput, match="nothing to draw"):
        draw(example_rows.all_wrong())


# Index


def test_index_is_whole_and_offline(run):
    text = index(run).read_text(encoding="utf-8")
    rows = read_rows(run / "rows.jsonl")
    assert [row["row_id"] for row in rows] == [row["row_id"] for row in read_rows(run)]
    with (run / "rows.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert {line["row_id"] for line in lines} == {row["row_id"] for row in example_rows.rows()}
    assert list(lines[0])[:3] == list(COLUMNS)[:3]
    assert "asked.pruning_ratio" in lines[0]
    assert not LOADS.search(text)
    assert "http://" not in text
    assert "https://" not in text
    assert "<script>alert" not in text
    assert "prune l2 50% + int8 √" in text
    assert '<html lang="en">' in text
    assert 'name="viewport"' in text
    assert text.count('role="img" aria-label="Accuracy against') == 4  # two models, two costs
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert 'href="pages/10_baseline--mnist1d-conv1d--s0.html"' in text
    assert "pages/45_combine" not in text
    assert text.index("1 failed") < text.index("mnist1d · conv1d")
    assert len(text) < 200_000
    assert index(run).read_text(encoding="utf-8") == text  # the same rows, the same page


def test_index_survives_a_run_without_figures(tmp_path):
    write_rows(tmp_path / "rows" / "a.jsonl", [*example_rows.all_wrong(), new_row(row_id="bare", status="failed")])
    text = index(tmp_path).read_text(encoding="utf-8")
    assert "No version could be measured." in text
    assert "2 failed" in text
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="no rows"):
        index(tmp_path / "empty")
    write_rows(tmp_path / "empty" / "rows" / "a.jsonl", [])
    with pytest.raises(BadInput, match="no rows"):
        index(tmp_path / "empty")


def test_index_survives_rows_with_nothing_but_a_score(tmp_path):
    rows = [new_row(row_id=f"r{i}", task="t", model="m", label=f"v{i}", score=0.5, runtime="onnx") for i in range(2)]
    write_rows(tmp_path / "rows" / "a.jsonl", rows)
    assert "v1" in index(tmp_path).read_text(encoding="utf-8")


# Page


def notebook():
    """An executed notebook with an image, a table, an SVG, a print, a widget and an error."""
    v4 = nbformat.v4
    svg = look.svg(figures.bars(example_rows.quantized()))
    outputs = [
        v4.new_output("display_data", {"image/png": PIXEL, "text/plain": "<Figure>"}),
        v4.new_output("execute_result", {"image/svg+xml": svg, "text/plain": "<Figure>"}, execution_count=1),
        v4.new_output("execute_result", {"text/html": show(example_rows.rows()).data, "text/plain": ""}, execution_count=1),
        v4.new_output("stream", name="stdout", text="line <b>\n" * 40_000),
        v4.new_output("stream", name="stderr", text="edgebook: waiting for 10_baseline (process 7), which measures\n"),
        v4.new_output("display_data", {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "bar"}),
    ]
    error = v4.new_output("error", ename="ValueError", evalue="x < 1", traceback=["\x1b[31mValueError\x1b[0m: x < 1"])
    cells = [
        v4.new_markdown_cell(
            "# What does `pruning` cost?\n\n![](https://example.org/x.png) <img src='{x}'>".replace(
                "{x}", f"data:image/png;base64,{PIXEL}"
            )
        ),
        v4.new_code_cell("seed = 0  # <seed>", metadata={"tags": ["parameters"]}),
        v4.new_code_cell("show(rows)", outputs=outputs, execution_count=1, metadata={"alt": "accuracy of <int8>"}),
        v4.new_code_cell("fail()", outputs=[error], execution_count=2),
    ]
    return v4.new_notebook(cells=cells, metadata={"widgets": {"state": {}}})


def test_page_is_self_contained_folded_and_labelled(tmp_path):
    nbformat.write(notebook(), tmp_path / "n.ipynb")
    made = page(tmp_path / "n.ipynb", tmp_path / "pages" / "n.html", run="quick & co", machine={"cpu": "Xeon"},
                versions={"torch": "2.12.1"})  # fmt: skip
    text = made.read_text(encoding="utf-8")
    assert not LOADS.search(text)
    assert "<script" not in text
    assert "https://" not in text
    assert '<html lang="en">' in text
    assert 'name="viewport"' in text
    assert "<title>What does pruning cost? · quick &amp; co</title>" in text
    images = re.findall(r"<img[^>]*>", text)
    assert len(images) == 4
    assert all("alt=" in image for image in images)
    assert sum('alt="accuracy of &lt;int8&gt;"' in image for image in images) == 2
    assert base64.b64encode(b"<svg")[:4].decode() in text  # figures travel inside
    assert 'href="../index.html"' in text
    assert "cpu: Xeon" in text
    assert "torch 2.12.1" in text
    assert text.count("<details") == 3
    assert "ValueError" in text
    assert "characters left out" in text
    assert "waiting for" not in text
    without_images = re.sub(r"data:image/[^\"]*", "", text)
    assert len(without_images) < 200_000
    assert "<h1" in text
    assert "<seed>" not in text


def test_few_columns_are_numbers_under_words():
    row = example_rows.example("a", score=0.9, val=0.87654, size=100, latency=0.1, family="sparsify", method="sparsify")
    failed = row | {"status": "failed", "score": None}
    shown = [row | {"extra": {"sparsity": 0.9}, "size_packed_bytes": 7}, row | {"label": "b"}, failed]
    frame = few(shown, ["extra.sparsity", "size_packed_bytes", "val_score"])
    assert frame.loc["a"].to_dict() == {"sparsity": 0.9, "size packed bytes": 7, "val score": 0.8765}
    assert frame.loc["b"].to_dict() == {"sparsity": "–", "size packed bytes": "–", "val score": 0.8765}
    assert len(frame) == 2


def test_page_needs_a_notebook(tmp_path):
    with pytest.raises(BadInput, match="no such notebook"):
        page(tmp_path / "none.ipynb", tmp_path / "x.html")


def test_where_every_point_failed_the_baseline_stands_alone():
    base = example_rows.example("base", score=0.9, val=0.9, size=1, latency=0.1, family="baseline", method="baseline")
    failed = base | {"family": "prune", "status": "failed", "score": None}
    (axes,) = figures.against([base, failed], x="extra.macs_removed", y="score", title="nothing left").axes
    assert [line.get_ydata()[0] for line in axes.lines] == [90.0]
    with pytest.raises(BadInput, match="no row with status ok has score"):
        figures.against([failed], x="extra.macs_removed", y="score")
    with pytest.raises(BadInput, match=r"has extra\.macs_remove: nothing to draw"):  # a slip of the pen is no failed point
        figures.against([base, failed | {"status": "ok", "score": 0.8}], x="extra.macs_remove", y="score")


def test_two_methods_are_compared_item_by_item(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 400)
    right = {"ours": rng.random(400) < 0.9, "theirs": rng.random(400) < 0.8, "farther": rng.random(400) < 0.99}
    removed = {"ours": 0.5, "theirs": 0.48, "farther": 0.54}
    methods, rows, arrays = {"ours": "a", "theirs": "b", "farther": "b"}, [], {"labels": labels}
    for name, good in right.items():
        row = example_rows.example(name, score=0.9, val=0.9, size=1, latency=0.1, family="prune", method=methods[name])
        rows.append(row | {"samples": "s.npz", "extra": {"macs_removed": removed[name]}})
        items = np.arange(100, 400) if name == "theirs" else np.arange(400)
        answers = np.where(good, labels, (labels + 1) % 3)[items]
        arrays |= {f"{row['row_id']}.outputs": np.eye(3)[answers], f"{row['row_id']}.items": items}
    np.savez(tmp_path / "s.npz", **arrays)
    (found,) = pairs.differences(tmp_path, rows, ours="a", theirs="b")
    assert found["theirs"]["label"] == "theirs"
    assert (found["delta"], found["lo"], found["hi"]) == stats.paired_difference(right["ours"][100:], right["theirs"][100:])
    assert pairs.table(tmp_path, rows, ours="a", theirs="b").loc[0, "verdict"] == "better"
    assert pairs.differences(tmp_path, rows, ours="a", theirs="absent") == []
    rows[0]["extra"] = {"macs_removed": 0.7}  # nobody else is so small
    assert pairs.differences(tmp_path, rows, ours="a", theirs="b") == []
