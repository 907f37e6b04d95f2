"""A run's folder -> rows.jsonl, rows.csv and index.html: the answer, its evidence, and what failed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from edgebook import rows as rows_module
from edgebook.files import write_text
from edgebook.report import format as fmt
from edgebook.report import plots, theme
from edgebook.report.aggregate import grouped, is_float_baseline, merge, ok
from edgebook.report.choose import COSTS, front
from edgebook.report.document import Case, Document, read, to_csv
from edgebook.report.pages.about import TEMPLATES, machines, period, versions
from edgebook.report.stylesheet import STYLE
from edgebook.report.tables import html_table
from edgebook.rows import Row
from edgebook.vocabulary import STATUSES

PRIMER = "00_primer"
UNITS = r" (?=(?:%|ms|kB|MB|points|times|test items)\b|%)"  # a figure and its unit stay on one line


def index(run_dir: Path) -> Path:
    """`index.html` of the run, written beside `rows.jsonl` and `rows.csv`. Raises BadInput when the run has no rows."""
    document = read(run_dir)
    environment = Environment(
        loader=FileSystemLoader([TEMPLATES, TEMPLATES / "page"]), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    text = environment.get_template("index.html.j2").render(**content(document))
    rows_module.write_rows(document.folder / "rows.jsonl", document.rows)
    write_text(document.folder / "rows.csv", to_csv(document))
    write_text(document.folder / "index.html", text)
    return document.folder / "index.html"


def content(document: Document) -> dict[str, Any]:
    """What the template shows."""
    rows, ran = document.rows, executions(document)
    return {
        "run": document.run,
        "style": Markup(STYLE),
        "problems": document.problems,
        "failures": [
            {"where": row["execution"], "name": fmt.name(row), "runtime": row["runtime"], "why": fmt.reason(row)}
            for row in rows
            if row["status"] == "failed"
        ],
        "sections": [_section(case, f"s{number}") for number, case in enumerate(document.cases)],
        "executions": ran,
        "primer": next((line["page"] for line in ran if line["name"] == PRIMER), ""),
        "margins": margins(rows),
        "machines": machines(rows),
        "versions": versions(rows),
        "commits": ", ".join(sorted({row["commit"][:12] for row in rows if row["commit"]})),
        "when": period(rows),
        "n_rows": len(rows),
        "n_ok": len(ok(rows)),
    }


def margins(rows: list[Row]) -> str:
    """`0.5 points of accuracy`: what counts as the same, for each metric of the rows."""
    by_metric = {row["metric"]: row for row in rows if row["metric"]}
    return ", ".join(f"{fmt.margin_text(row)} of {fmt.metric(name).label}" for name, row in by_metric.items())


def executions(document: Document) -> list[dict[str, Any]]:
    """What ran: each execution with its page (when there is one) and how many of its rows have which status."""
    groups = grouped(document.rows, ("execution",))
    lines = []
    for name in document.executions:
        group = groups.get((name,), [])
        counts = {status: sum(row["status"] == status for row in group) for status in STATUSES}
        summary = ", ".join(f"{count} {status}" for status, count in counts.items() if count) or "no rows"
        page = f"pages/{name}.html"
        has_page = (document.folder / page).is_file()
        lines.append({"name": name, "page": page if has_page else "", "summary": summary, "failed": counts["failed"] > 0})
    return lines


def _section(case: Case, key: str) -> dict[str, Any]:
    """The answer of one case, its figures and tables."""
    answer, measured, members = case.answer(), ok(case.rows), _worth_considering(ok(case.rows))
    every = merge(case.rows)
    first, *more = (re.sub(UNITS, "\u00a0", sentence) for sentence in answer.sentences)
    return {
        "key": key,
        "title": case.title,
        "setting": case.setting,
        "kind": answer.kind,
        "answer": first,
        "notes": more,
        "figures": [Markup(_figure(measured, cost, answer.row, key)) for cost in COSTS if case.has(cost)],
        "front": Markup(html_table(members, "", answer.row)) if members else "",
        "all": Markup(html_table(sorted(every, key=_order), "", answer.row)),
        "n_all": len(every),
    }


def _figure(rows: list[Row], cost: str, chosen: Row | None, key: str) -> str:
    return theme.inline_svg(plots.front(rows, x=cost, wide=5.0, chosen=chosen), f"{key}-{cost}-")


def _worth_considering(rows: list[Row]) -> list[Row]:
    """The float baselines of each runtime, then the members of either front, by size."""
    lines = {row["row_id"]: row for row in sorted(merge(rows), key=_order) if is_float_baseline(row)}
    members = {row["row_id"]: row for cost in COSTS for row in front(rows, cost) if row["row_id"] not in lines}
    return [*lines.values(), *sorted(members.values(), key=_order)]


def _order(row: Row) -> tuple:
    """Rows with figures first, of them the baselines, then by size, then by name."""
    size = float("inf") if row["size_bytes"] is None else row["size_bytes"]
    return row["status"] != "ok", row["role"] != "baseline", size, fmt.name(row)
