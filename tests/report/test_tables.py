"""Tables: figures with their intervals and units, reasons where there are none, nothing unescaped, nothing ambiguous."""

from __future__ import annotations

from dataclasses import replace

import pytest
from example_rows import all_wrong, baselines, example, quantized, rows, seeds, sweep

from edgebook import metrics
from edgebook.errors import BadInput
from edgebook.metrics.intervals import over_seeds, wilson
from edgebook.report import diagnostics
from edgebook.report.aggregate import merge
from edgebook.report.columns import others_text, why_not
from edgebook.report.tables import few, html_table, show, table, unique_names


def test_figures_have_intervals_and_units():
    frame = table(rows())
    assert {"accuracy, %", "difference, points", "size, kB", "smaller, ×", "latency, ms", "speed-up, ×"} <= set(frame)
    line = frame[(frame["version"] == "int8") & (frame["runtime"] == "onnx")].iloc[0]
    lo, hi = wilson(3746, 4000)
    assert line["accuracy, %"] == f"93.7 ({100 * lo:.1f}–{100 * hi:.1f})"
    assert line["size, kB"] == "9.0"
    assert frame[frame["version"] == "codebook 4 bit"]["latency, ms"].item() == "–"
    base = frame[(frame["version"] == "float baseline") & (frame["runtime"] == "onnx")].iloc[0]
    assert (base["difference, points"], base["verdict"], base["smaller, ×"], base["speed-up, ×"]) == ("", "", "", "")
    assert len(table(rows(), "all")) == len(rows())
    assert list(table(sweep(), ["label", "asked.pruning_ratio"])["asked.pruning_ratio"])[:2] == [0.25, 0.5]
    with pytest.raises(BadInput, match="short"):
        table(rows(), "narrow")


def test_seeds_are_shown_as_mean_deviation_and_number():
    deviation = over_seeds([row["score"] for row in seeds()])["sd"]
    assert table(seeds())["accuracy, %"].item() == f"93.2 (± {100 * deviation:.1f}, n = 3)"


def test_a_score_on_part_of_the_items_says_so():
    part = quantized()[0] | {"n_test": 250}
    texts = list(table([*baselines(), part])["accuracy, %"])
    assert "on 250 of 4 000 items" in texts[-1]
    assert "items" not in texts[0]
    assert "on 250 of 1 000 items" in table([part | {"extra": {"n_test_split": 1000}}])["accuracy, %"].item()


def test_metrics_bring_their_head_and_unit(monkeypatch):
    shown = {"scale": 1.0, "unit": "", "difference_unit": "", "decimals": 3}
    monkeypatch.setitem(metrics.METRICS, "r2", replace(metrics.METRICS["accuracy"], name="r2", label="R²", **shown))
    r2 = [row | {"metric": "r2"} for row in quantized()]
    frame = table(r2)
    assert {"R²", "difference"} <= set(frame)
    assert frame["R²"].iloc[0].startswith("0.936 (")
    assert "score" in table([*r2, baselines()[0]])  # no common unit
    assert table([row | {"metric": "new one"} for row in r2])["new one"].iloc[0].startswith("0.936")


def test_uneven_classes_are_shown_and_even_ones_are_not():
    extra = {"macro_f1": 0.66, "worst_class_accuracy": 0.31, "class_accuracy": [1, 1, 1, 1, 0.3]}
    row = quantized()[0] | {"extra": extra, "chance": 0.7}
    assert table([row])[["macro-F1, %", "worst class, %"]].iloc[0].to_list() == ["66.0", "31.0"]
    assert "macro-F1, %" not in table([row | {"chance": 0.2}])
    assert "macro-F1, %" not in table([row | {"chance": None}])


def test_unsupported_says_who_can():
    row = all_wrong()[1]
    able = row | {"status": "ok", "runtime": "litert", "row_id": "x"}
    assert why_not(row, [row]) == "this target cannot run it: GRU: no 16x8 kernel; no other runtime of this run can"
    assert why_not(row, [row, able]).endswith("; litert can")
    assert others_text(row, [able | {"precision": "fp32"}]) == "no other runtime of this run can"
    assert others_text(row, [able | {"point_id": "another"}]) == "no other runtime of this run can"
    assert others_text(row | {"point_id": None}, [able | {"point_id": None}]) == "no other runtime of this run can"
    assert why_not(row | {"error": None}, [row]).startswith("this target cannot run it: the runtime has no such operator")
    assert why_not(all_wrong()[2], [able]) == "skipped: no module named vela"
    assert "litert can" in html_table([row, able])


def test_html_is_escaped_and_scoped():
    text = html_table(rows())
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert text.count('scope="col"') == 7
    assert text.count('scope="row"') == len(merge(rows()))
    assert "<table" in show(rows())._repr_html_()
    assert "No rows" in html_table([])


def test_what_never_ships_is_marked_and_what_ships_too():
    text = html_table(baselines() + sweep(), "", sweep()[0])
    assert text.count(">control</span>") == 4
    assert text.count(">reference</span>") == 1
    assert text.count(">ship</span>") == 1


def test_no_two_lines_have_the_same_name():
    first = quantized()[0]
    others = [first | {"row_id": f"r{n}", "point_id": f"p{n}"} for n in (1, 2)] + [first | {"row_id": "r3", "notebook": "32_qat"}]
    names = unique_names([first, *others, quantized()[1]])
    notebook = first["notebook"]
    assert list(names.values()) == [
        f"int8 ({notebook}) #1",
        f"int8 ({notebook}) #2",
        f"int8 ({notebook}) #3",
        "int8 (32_qat)",
        "int8",
    ]


def test_few_columns_are_numbers():
    row = example("a", score=0.9, val=0.87654, size=100, latency=0.1, family="sparsify", method="sparsify")
    failed = row | {"status": "failed", "score": None}
    shown = [row | {"extra": {"sparsity": 0.9}, "size_packed_bytes": 7}, row | {"label": "b"}, failed]
    frame = few(shown, ["extra.sparsity", "size_packed_bytes", "val_score"])
    assert frame.loc["a"].to_dict() == {"sparsity": 0.9, "size packed bytes": 7, "val score": 0.8765}
    assert frame.loc["b"].to_dict() == {"sparsity": "–", "size packed bytes": "–", "val score": 0.8765}
    assert len(frame) == 2


def test_diagnostics_show_what_is_known():
    extra = {
        "macro_f1": 0.5,
        "mcnemar_p": 0.0001,
        "n_nodes": 12,
        "int8_nodes": 0.25,
        "slowest_layers": [{"op": "Conv", "us": 3.0}],
    }
    row = quantized()[0] | {"extra": extra, "agreement": 0.99}
    quality = diagnostics.quality([row, *all_wrong()]).iloc[0].to_dict()
    assert quality == {
        "version": "int8",
        "runtime": "onnx",
        "format": "int8-static",
        "accuracy, %": "93.7",
        "macro-F1, %": "50.0",
        "same predictions as the baseline, %": "99.0",
        "McNemar p": "< 0.001",
    }
    inside = diagnostics.inside([row]).iloc[0].to_dict()
    assert (inside["nodes"], inside["nodes in int8, %"], inside["slowest layer"]) == ("12", "25.0", "Conv 3.00 µs")
    assert "time in int8, %" not in inside


def test_a_table_of_no_rows_has_its_columns():
    frame = few([], ["score", "extra.train_s"])
    assert len(frame) == 0
    assert len(frame.columns) == 2
