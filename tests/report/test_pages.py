"""Pages: whole, offline, labelled, the same for the same rows, and the answer that `pick` gives."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import nbformat
import pytest
from example_rows import MACHINE, VERSIONS, all_wrong, baselines, quantized
from example_rows import rows as example_rows

from edgebook.errors import BadInput
from edgebook.report import plots, theme
from edgebook.report.document import read
from edgebook.report.pages.about import machines, one_line
from edgebook.report.pages.index import index
from edgebook.report.pages.notebook_page import page
from edgebook.report.tables import show
from edgebook.rows import new_row, read_rows, write_rows
from edgebook.run_folder import write_run

SKELETON = Path(__file__).parent / "index_skeleton.txt"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
LOADS = re.compile(r"""(?:src|href|action|data|poster)\s*=\s*["']?\s*(?:https?:)?//|url\(\s*["']?(?:https?:)?//|@import""")


@pytest.fixture
def run(tmp_path):
    """A run's folder with the example rows, one page, and nothing else."""
    executions: dict[str, list] = {}
    for row in example_rows():
        executions.setdefault(row["execution"], []).append(row)
    for name, rows in executions.items():
        write_rows(tmp_path / "rows" / f"{name}.jsonl", rows)
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "10_baseline--mnist1d-conv1d--s0.html").write_text("<p>page</p>")
    return tmp_path


def skeleton(text):
    """Headings, landmarks and counts of a page: what a reader finds where, without its figures."""
    body = re.sub(r"<(style|script)>.*?</\1>", "", text, flags=re.DOTALL)
    body = re.sub(r"<svg.*?</svg>", "<svg>", body, flags=re.DOTALL)
    body = re.sub(r"<tbody>.*?</tbody>", lambda match: f"<tbody rows={match[0].count('<tr')}>", body, flags=re.DOTALL)
    marks = re.findall(
        r"<(?:h[123]|dt|th scope=\"col\"|summary)[^>]*>.*?</|<(?:section|nav|header|main|footer|svg|tbody)[^>]*>", body
    )
    return "\n".join(re.sub(r"</?span[^>]*>|</$", "", mark) for mark in marks) + "\n"


def test_index_has_its_skeleton(run):
    """To accept a change on purpose, write `skeleton(text)` to index_skeleton.txt."""
    assert skeleton(index(run).read_text(encoding="utf-8")) == SKELETON.read_text(encoding="utf-8")


def test_index_is_whole_offline_and_repeatable(run):
    text = index(run).read_text(encoding="utf-8")
    assert [row["row_id"] for row in read_rows(run / "rows.jsonl")] == [row["row_id"] for row in read_rows(run)]
    assert (run / "rows.csv").read_text(encoding="utf-8").count("\n") == len(example_rows()) + 1
    assert not LOADS.search(text)
    assert "http://" not in text
    assert "https://" not in text
    assert "Content-Security-Policy" in text
    assert "<script>alert" not in text
    assert '<html lang="en">' in text
    assert 'name="viewport"' in text
    assert text.count('role="img" aria-label="Test accuracy against') == 4  # two models, two costs
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert 'href="pages/10_baseline--mnist1d-conv1d--s0.html"' in text
    assert "pages/45_combine" not in text
    assert text.index("1 failed") < text.index("mnist1d · conv1d")
    assert len(text) < 200_000
    assert index(run).read_text(encoding="utf-8") == text


def test_the_page_gives_the_answers_that_pick_gives(run):
    text = unescape(index(run).read_text(encoding="utf-8")).replace("\u00a0", " ")
    document = read(run)
    assert len(document.cases) == 2
    for case in document.cases:
        assert all(sentence in text for sentence in case.answer().sentences)
        assert case.answer().row is not None
    assert text.count(">ship</span>") == 2 * len(document.cases)  # worth considering, and all


def test_a_baseline_that_has_not_learned_stands_first(tmp_path):
    bad = [row | {"score": 0.11, "score_lo": 0.09} for row in baselines()]
    write_rows(tmp_path / "rows" / "a.jsonl", [*bad, *quantized()])
    text = index(tmp_path).read_text(encoding="utf-8")
    assert '<div class="answer nothing">' in text
    assert "has not learned the task" in text
    assert ">ship</span>" not in text


def test_broken_lines_are_listed_and_the_rest_is_shown(run):
    file = next((run / "rows").glob("10_baseline--mnist1d-conv1d*.jsonl"))
    file.write_text(file.read_text() + "<script>\n" * 30)
    text = index(run).read_text(encoding="utf-8")
    assert "30 problems with the records" in text
    assert "and 10 more" in text
    assert f"{file.name}:6: " in text
    assert len(read_rows(run / "rows.jsonl")) == len(example_rows())


def test_executions_that_the_preset_no_longer_names_are_left_out(run):
    write_run(run, "x", ["10_baseline--mnist1d-conv1d--s0"])
    text = index(run).read_text(encoding="utf-8")
    assert "20_prune_sweep" not in text
    assert "1 failed" not in text
    assert {row["execution"] for row in read_rows(run / "rows.jsonl")} == {"10_baseline--mnist1d-conv1d--s0"}


def test_index_survives_a_run_without_figures(tmp_path):
    write_rows(tmp_path / "rows" / "a.jsonl", [*all_wrong(), new_row(row_id="bare", status="failed")])
    text = index(tmp_path).read_text(encoding="utf-8")
    assert "no version could be measured." in text
    assert "2 failed" in text
    with pytest.raises(BadInput, match="no rows"):
        index(tmp_path / "empty")


def test_index_survives_rows_with_nothing_but_a_score(tmp_path):
    rows = [new_row(row_id=f"r{i}", task="t", model="m", label=f"v{i}", score=0.5, runtime="onnx") for i in range(2)]
    write_rows(tmp_path / "rows" / "a.jsonl", rows)
    assert "v1" in index(tmp_path).read_text(encoding="utf-8")


def test_one_machine_is_one_line_whatever_its_load():
    rows = [row | {"machine": MACHINE | {"load": load}} for row, load in zip(baselines(), (0.3, 0.1, 0.9, None), strict=True)]
    (line,) = machines(rows)
    assert line == "cores 2, cpu Intel Xeon @ 2.20GHz, flags avx2 avx512f avx512_vnni, governor none, load 0.1 to 0.9"
    assert len(machines([*rows, rows[0] | {"machine": {"cpu": "another"}}])) == 2
    assert machines([rows[0] | {"machine": None}]) == []
    assert one_line({"a_b": None, "c": 1}) == "c 1"


def test_an_index_is_made_without_pytorch():
    code = "import sys; import edgebook.report.pages.index; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# Notebook's page


def notebook():
    """An executed notebook with an image, a table, an SVG, a print, a widget and an error."""
    v4 = nbformat.v4
    svg = theme.svg(plots.bars(quantized()))
    outputs = [
        v4.new_output("display_data", {"image/png": PIXEL, "text/plain": "<Figure>"}),
        v4.new_output("execute_result", {"image/svg+xml": svg, "text/plain": "<Figure>"}, execution_count=1),
        v4.new_output("execute_result", {"text/html": show(example_rows()).data, "text/plain": ""}, execution_count=1),
        v4.new_output("stream", name="stdout", text="line <b>\n" * 40_000),
        v4.new_output("stream", name="stderr", text="edgebook: waiting for 10_baseline (process 7), which measures\n"),
        v4.new_output("display_data", {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "bar"}),
    ]
    error = v4.new_output("error", ename="ValueError", evalue="x < 1", traceback=["\x1b[31mValueError\x1b[0m: x < 1"])
    picture = f"# What does `pruning` cost?\n\n![](https://example.org/x.png) <img src='data:image/png;base64,{PIXEL}'>"
    cells = [
        v4.new_markdown_cell(picture),
        v4.new_code_cell("seed = 0  # <seed>", metadata={"tags": ["parameters"]}),
        v4.new_code_cell("show(rows)", outputs=outputs, execution_count=1, metadata={"alt": "accuracy of <int8>"}),
        v4.new_code_cell("fail()", outputs=[error], execution_count=2),
    ]
    return v4.new_notebook(cells=cells, metadata={"widgets": {"state": {}}})


@pytest.fixture
def text(tmp_path):
    """The page of that notebook, in a run's folder that has its rows."""
    nbformat.write(notebook(), tmp_path / "n.ipynb")
    write_rows(tmp_path / "rows" / "n.jsonl", [row | {"run": "quick & co"} for row in baselines()])
    return page(tmp_path / "n.ipynb", tmp_path / "pages" / "n.html").read_text(encoding="utf-8")


def test_page_is_self_contained(text):
    assert not LOADS.search(text)
    assert "<script" not in text
    assert "https://" not in text
    assert '<html lang="en">' in text
    assert 'name="viewport"' in text
    assert base64.b64encode(b"<svg")[:4].decode() in text  # figures travel inside
    assert len(re.sub(r"data:image/[^\"]*", "", text)) < 200_000


def test_page_is_folded_and_labelled(text):
    assert "<title>What does pruning cost? · quick &amp; co</title>" in text
    images = re.findall(r"<img[^>]*>", text)
    assert len(images) == 4
    assert all("alt=" in image for image in images)
    assert sum('alt="accuracy of &lt;int8&gt;"' in image for image in images) == 2
    assert 'href="../index.html"' in text
    assert text.count("<details") == 3
    assert "ValueError" in text
    assert "characters left out" in text
    assert "waiting for" not in text
    assert "<h1" in text
    assert "<seed>" not in text


def test_page_says_who_measured(text):
    footer = text[text.index("<footer") :]
    assert "Started: 2026-11-21 10:02 UTC" in footer
    assert "Measured on: cores 2, cpu Intel Xeon" in footer
    assert all(f"{name} {version}" in footer for name, version in VERSIONS.items())
    assert "Workbook at commit: 0123456789abcdef" in footer


def test_formulas_become_mathml_and_code_and_prices_stay(tmp_path):
    prose = "The share $1/d + k^2$ of $\\alpha$ costs 5$ and 6$; `$x$`.\n\n```\n$y$\n```"
    cells = [nbformat.v4.new_markdown_cell(f"# Cost\n\n{prose}")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "n.ipynb")
    text = page(tmp_path / "n.ipynb", tmp_path / "n.html", rows=[], home=None).read_text(encoding="utf-8")
    first, second = re.findall(r"<math.*?</math>", text)
    assert "<msup><mi>k</mi><mn>2</mn></msup>" in first
    assert "<mi>&#x003B1;</mi>" in second  # alpha
    assert "costs 5$ and 6$; <code>$x$</code>" in text
    assert "$y$" in text


def test_blank_prints_leave_no_trace(tmp_path):
    prints = [nbformat.v4.new_output("stream", name="stdout", text=text) for text in ("made\n", "\n", "  \n", "done\n")]
    cells = [nbformat.v4.new_code_cell("make()", outputs=prints, execution_count=1)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "n.ipynb")
    text = page(tmp_path / "n.ipynb", tmp_path / "n.html", rows=[], home=None).read_text(encoding="utf-8")
    assert [block.strip() for block in re.findall(r"<pre>([^<]*)</pre>", text) if "make()" not in block] == ["made", "done"]


def test_page_without_rows_or_notebook(tmp_path):
    nbformat.write(notebook(), tmp_path / "n.ipynb")
    text = page(tmp_path / "n.ipynb", tmp_path / "quick" / "pages" / "n.html", home=None).read_text(encoding="utf-8")
    assert "· quick</title>" in text
    assert "Measured on" not in text
    assert "index.html" not in text
    with pytest.raises(BadInput, match="no such notebook"):
        page(tmp_path / "none.ipynb", tmp_path / "x.html")
