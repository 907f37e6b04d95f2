"""Executed notebook -> one page that opens offline and asks no other host for anything."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
from latex2mathml.converter import convert
from nbconvert import HTMLExporter

from edgebook import rows as rows_module
from edgebook.errors import BadInput
from edgebook.files import write_text
from edgebook.report.pages.about import TEMPLATES, machines, period, versions
from edgebook.report.stylesheet import STYLE
from edgebook.rows import Row

WAITING = "edgebook: waiting for"  # said by the lock to who sits before the notebook; later it is no news
LONGEST_STREAM = 20_000  # characters of one cell's printed text
CDN = (
    "require_js_url",
    "jquery_url",
    "mathjax_url",
    "mermaid_js_url",
    "mermaid_layout_elk_js_url",
    "jupyter_widgets_base_url",
)
FORMULA = re.compile(r"(?<![\\$\w])\$(?=[^\s$])([^$]*[^\s$\\])\$(?![\w$])")
MARK = re.compile("\ue000(\\d+)\ue001")  # of a formula, in characters that no text has
LIVE = ("application/vnd.jupyter.widget-view+json", "application/javascript")  # need a kernel or a CDN


def page(notebook_path: Path, html_path: Path, *, rows: list[Row] | None = None, home: str | None = "../index.html") -> Path:
    """`html_path`, written: the executed notebook as one self-contained page, code folded, errors open.

    rows: of this execution, for the run's name and the machine and versions in the footer; when None, those that lie in the
    run's folder. home: the link back to the run's index, None for no link. Raises BadInput when there is no such notebook.
    """
    notebook_path, html_path = Path(notebook_path), Path(html_path)
    if not notebook_path.is_file():
        raise BadInput(f"{notebook_path}: no such notebook")
    formulas: list[str] = []
    notebook = _prepared(nbformat.read(notebook_path, as_version=4), formulas)
    exporter = HTMLExporter(
        template_name="page",
        extra_template_basedirs=[str(TEMPLATES)],
        exclude_anchor_links=True,
        embed_images=True,
        **dict.fromkeys(CDN, ""),
    )
    exporter.register_filter("first_line", first_line)
    exporter.register_filter("has_error", has_error)
    rows = _rows_beside(html_path) if rows is None else rows
    about = {
        "title": heading(notebook) or notebook_path.stem,
        "run": next((row["run"] for row in rows if row["run"]), html_path.absolute().parent.parent.name),
        "home": home,
        "execution": notebook_path.stem,
        "style": STYLE,
        "footer": footer(rows),
    }
    resources = {"edgebook": about, "metadata": {"name": about["title"], "path": str(notebook_path.parent)}}
    text, _ = exporter.from_notebook_node(notebook, resources=resources)
    write_text(html_path, MARK.sub(lambda match: convert(formulas[int(match[1])]), closed(text)))
    return html_path


def _rows_beside(html_path: Path) -> list[Row]:
    """The rows of the page's execution, where its run's folder has some."""
    file = html_path.parent.parent / "rows" / f"{html_path.stem}.jsonl"
    return rows_module.read(file)[0] if file.is_file() else []


def footer(rows: list[Row]) -> list[str]:
    """Lines on who measured: when, on which machine, with which versions."""
    commits = ", ".join(dict.fromkeys(row["commit"] for row in rows if row["commit"]))
    texts = {
        "Started": f"{period(rows)} UTC" if period(rows) else "",
        "Measured on": "; ".join(machines(rows)),
        "Versions": "; ".join(versions(rows)),
        "Workbook at commit": commits,
    }
    return [f"{head}: {text}" for head, text in texts.items() if text]


def _prepared(notebook: Any, formulas: list[str]) -> Any:
    """The notebook without what cannot work offline (widgets, scripts) and what is no news; endless prints are cut, and formulas
    are moved to the list.
    """
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = marked(cell.source, formulas)
        if cell.cell_type != "code":
            continue
        cell.outputs = [output for output in cell.outputs if _is_news(output.get("text"))]
        for output in cell.outputs:
            if output.output_type == "stream" and len(output.text) > LONGEST_STREAM:
                half = LONGEST_STREAM // 2
                gap = f"\n… {len(output.text) - LONGEST_STREAM} characters left out …\n"
                output.text = output.text[:half] + gap + output.text[-half:]
            for kind in LIVE:
                output.get("data", {}).pop(kind, None)
            for kind, alt in _alts(output, cell).items():
                output.metadata.setdefault(kind, {}).setdefault("alt", alt)
    return notebook


def _is_news(text: str | None) -> bool:
    """Whether an output belongs on the page; text: what it printed, None for another kind of output."""
    return text is None or (bool(text.strip()) and not text.startswith(WAITING))


def marked(text: str, formulas: list[str]) -> str:
    r"""Markdown with a mark in place of each `$\LaTeX$`, which is added to the list; code is left as it is.

    The page's formulas are MathML, which browsers draw without a script; nbconvert would take its elements apart.
    """

    def mark(match: re.Match) -> str:
        formulas.append(match[1])
        return f"\ue000{len(formulas) - 1}\ue001"

    parts = re.split(r"(```.*?```|`[^`\n]*`)", text, flags=re.DOTALL)
    return "".join(part if part.startswith("`") else FORMULA.sub(mark, part) for part in parts)


def _alts(output: Any, cell: Any) -> dict[str, str]:
    """The alt text of each image of an output: the cell's, the SVG's title, else the cell's first line of code."""
    alts = {}
    for kind in ("image/svg+xml", "image/png", "image/jpeg"):
        if kind in output.get("data", {}):
            title = re.search(r"<title>(.*?)</title>", output.data[kind], re.DOTALL) if kind == "image/svg+xml" else None
            text = output.metadata.get("alt") or cell.metadata.get("alt") or (title and title[1])
            alts[kind] = str(text or f"Figure made by: {first_line(cell.source)}")
    return alts


def closed(text: str) -> str:
    """The page with an `alt` on every image (empty where the prose gave none) and nothing loaded from elsewhere."""
    away = r"""(<(?:img|script|iframe|link|source|video)\b[^>]*?)\s(?:src|href)=(["']?)(?:https?:)?//[^"'\s>]*\2"""
    text = re.sub(away, r'\1 title="left out: it lies on another host"', text, flags=re.IGNORECASE)
    return re.sub(r"<img\b(?![^>]*\balt=)", '<img alt=""', text)


def heading(notebook: Any) -> str:
    """The first markdown heading, without its marks; empty when there is none."""
    texts = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    first = next((match for text in texts if (match := re.search(r"^#+\s+(.+)$", text, re.MULTILINE))), None)
    return re.sub(r"[*_`]", "", first[1]).strip() if first else ""


def first_line(source: str) -> str:
    """The first line of code that is not empty, shortened."""
    line = next((line.strip() for line in source.splitlines() if line.strip()), "")
    return line if len(line) <= 72 else f"{line[:71]}…"


def has_error(cell: Any) -> bool:
    """Whether a code cell stopped with an error."""
    return any(output.output_type == "error" for output in cell.get("outputs", []))
