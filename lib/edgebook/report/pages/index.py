"""A run's folder -> rows.jsonl, rows.csv and index.html: the answer, its evidence, and what failed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from edgebook import rows as rows_module
from edgebook.errors import BadInput
from edgebook.report import format as words
from edgebook.report import theme as look
from edgebook.report.aggregate import files, grouped, merge, ok, with_references
from edgebook.report.answer import COSTS, answer, choose, front, shippable
from edgebook.report.plots import figures
from edgebook.report.tables import STYLE, html_table

Row = dict[str, Any]
TEMPLATES = Path(__file__).parent / "templates"
SETTING = ("device", "threads", "batch_size")


def index(run_dir: Path) -> Path:
    """`index.html` of the run, written beside `rows.jsonl` and `rows.csv`. Raises BadInput when the run has no rows."""
    run_dir = Path(run_dir)
    rows = rows_module.read_rows(run_dir) if (run_dir / "rows").is_dir() else []
    if not rows:
        raise BadInput(f"{run_dir}: no rows in {run_dir / 'rows'}; `edgebook run params/quick.yaml` makes some")
    rows_module.write_rows(run_dir / "rows.jsonl", rows)
    rows_module.write_text_atomically(run_dir / "rows.csv", csv(rows))
    environment = Environment(
        loader=FileSystemLoader([TEMPLATES, TEMPLATES / "page"]), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    text = environment.get_template("index.html.j2").render(**_facts(run_dir, rows))
    rows_module.write_text_atomically(run_dir / "index.html", text)
    return run_dir / "index.html"


def csv(rows: list[Row]) -> str:
    """The flat table: the contract's columns in their order, then what objects hold, by name."""
    flat = [rows_module.flatten(row) for row in rows]
    found = {name for row in flat for name in row}
    plain = [name for name in rows_module.COLUMNS if name not in ("asked", "extra", "versions", "machine")]
    order = ("asked.", "extra.", "machine.", "versions.")
    dotted = [name for start in order for name in sorted(found) if name.startswith(start)]
    return pd.DataFrame(flat, columns=plain + dotted, dtype=object).to_csv(index=False)


def _facts(run_dir: Path, rows: list[Row]) -> dict[str, Any]:
    """What the template shows."""
    shown = files(with_references(rows))
    known = [row for row in shown if row["task"] and row["model"]]
    return {
        "run": next((row["run"] for row in rows if row["run"]), run_dir.name),
        "style": Markup(STYLE),
        "failures": [
            {"where": row["execution"], "name": words.name(row), "runtime": row["runtime"], "why": words.reason(row)}
            for row in rows
            if row["status"] == "failed"
        ],
        "sections": [
            section
            for number, ((task, model), group) in enumerate(grouped(known, ("task", "model")).items())
            for section in _sections(f"{task} · {model}", group, number)
        ],
        "executions": executions(run_dir, rows),
        "machines": _seen(rows, "machine"),
        "versions": _seen(rows, "versions"),
        "commits": ", ".join(sorted({str(row["commit"])[:12] for row in rows if row["commit"]})),
        "when": " to ".join(dict.fromkeys(_ends(sorted(str(row["started_at"]) for row in rows if row["started_at"])))),
        "n_rows": len(rows),
        "n_ok": len(ok(rows)),
    }


def _ends(values: list[str]) -> list[str]:
    return [value[:16].replace("T", " ") for value in (values[:1] + values[-1:])]


def _sections(title: str, rows: list[Row], number: int) -> list[dict[str, Any]]:
    """One section for each device, threads and batch size: latencies of different ones do not compare."""
    settings = list(grouped(ok(rows), SETTING).items()) or [((None, None, None), [])]
    rest = [row for row in rows if row["status"] != "ok"]
    return [_section(title, setting, group, rest, f"{number}-{i}") for i, (setting, group) in enumerate(settings)]


def _section(title: str, setting: tuple, rows: list[Row], rest: list[Row], key: str) -> dict[str, Any]:
    """The answer of one model on one device, its figures and tables."""
    device, threads, batch = setting
    parts = [
        f"on {device}" if device else "",
        f"{threads} thread{'s' if threads != 1 else ''}" if threads else "",
        f"{batch} item{'s' if batch != 1 else ''} a call" if batch else "",
    ]
    chosen = choose(rows)
    best = _front(rows)
    return {
        "title": title,
        "setting": ", ".join(part for part in parts if part),
        "key": f"s{key}",
        "answer": re.sub(r" (?=(%|ms|kB|MB|points|times)\b|%)", "\u00a0", answer(rows)),
        "figures": [
            Markup(look.inline_svg(_figure(rows, cost, chosen), f"{key}-{cost}-")) for cost in COSTS if _drawable(rows, cost)
        ],
        "front": Markup(html_table(best, "", chosen)) if best else "",
        "all": Markup(html_table(sorted(merge(rows), key=_order) + rest, "", chosen)),
        "n_all": len(merge(rows)) + len(rest),
    }


def _drawable(rows: list[Row], cost: str) -> bool:
    return any(row["score"] is not None and row[cost] is not None for row in shippable(rows))


def _figure(rows: list[Row], cost: str, chosen: Row | None) -> Any:
    name = "size" if cost == "size_bytes" else "latency"
    metric = next((row["metric"] for row in rows if row["metric"]), "score").replace("_", " ")
    return figures.pareto(shippable(rows), x=cost, wide=5.0, mark=chosen, title=f"{metric.capitalize()} against {name}")


def _front(rows: list[Row]) -> list[Row]:
    """The float baselines of each runtime, then the members of either front, by size."""
    lines = [row for row in merge(ok(rows)) if row["family"] == "baseline" and row["precision"] == "fp32"]
    members = {row["row_id"]: row for cost in COSTS for row in front(rows, cost)}
    others = [row for row in members.values() if row["row_id"] not in {line["row_id"] for line in lines}]
    return sorted(lines, key=_order) + sorted(others, key=_order)


def _order(row: Row) -> tuple:
    """Baselines first, then by size, then by name."""
    return (row["family"] != "baseline", row["size_bytes"] is None, row["size_bytes"] or 0, words.name(row))


def executions(run_dir: Path, rows: list[Row]) -> list[dict[str, Any]]:
    """What ran: each execution with its page (when there is one) and how many of its rows have which status."""
    pages = {path.stem: path for path in sorted((run_dir / "pages").glob("*.html"))}
    groups = {str(name): group for (name,), group in grouped(rows, ("execution",)).items()}
    found = []
    for name in sorted(pages.keys() | groups.keys()):
        group = groups.get(name, [])
        counts = {status: sum(row["status"] == status for row in group) for status in rows_module.STATUSES}
        said = ", ".join(f"{count} {status}" for status, count in counts.items() if count) or "no rows"
        found.append(
            {
                "name": name,
                "page": f"pages/{name}.html" if name in pages else "",
                "said": said,
                "failed": counts["failed"] > 0,
            }
        )
    return found


def _seen(rows: list[Row], column: str) -> list[str]:
    """Each different object of a column, as one line."""
    lines = [
        ", ".join(f"{key.replace('_', ' ')} {_text(inner)}" for key, inner in sorted(row[column].items()))
        for row in rows
        if isinstance(row[column], dict) and row[column]
    ]
    return list(dict.fromkeys(lines))


def _text(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
