"""Rows -> one table: a DataFrame of text, or HTML for notebooks and pages."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from edgebook import rows as rows_module
from edgebook.errors import BadInput
from edgebook.report import format as words
from edgebook.report.aggregate import POINT, merge, ok, value

Row = dict[str, Any]
REFERENCES = {"extra.vs_torch": "torch eager", "extra.vs_onnx": "onnx fp32"}
ITSELF = ("delta", "compression_ratio", "speedup")  # a baseline is not compared with itself

STYLE = (Path(__file__).parent / "pages" / "templates" / "page" / "table.css").read_text(encoding="utf-8")


class Column(NamedTuple):
    """How one figure of a row is shown: its main text, the interval under it, its verdict, and what it sorts by."""

    head: str
    unit: str
    main: Callable[[Row], str]
    key: str
    around: Callable[[Row], str] = lambda row: ""
    verdict: str = ""


def _score(row: Row) -> str:
    return words.score(row["score"], row["metric"])


def _score_interval(row: Row) -> str:
    spread = (row["extra"] or {}).get("score_sd")
    if spread is not None:
        digits = f"{100 * spread:.1f}" if words.is_share(row["metric"]) else f"{spread:.3f}"
        return f"± {digits}, n = {row['extra']['n_seeds']}"
    return words.interval(row["score_lo"], row["score_hi"], lambda end: words.score(end, row["metric"]))


def _difference_interval(row: Row) -> str:
    return words.interval(row["delta_lo"], row["delta_hi"], lambda end: words.difference(end, row["metric"]))


def _latency(row: Row) -> str:
    if row["latency_ms_p50"] is None and row["latency_ms_est"] is not None:
        return f"{words.digits(row['latency_ms_est'])} est."
    return words.digits(row["latency_ms_p50"])


def columns_of(rows: list[Row]) -> list[Column]:
    """The columns of the short table; the score's unit follows the rows' metric."""
    metrics = {row["metric"] for row in rows if row["metric"]} or {"accuracy"}
    share = all(words.is_share(metric) for metric in metrics)
    metric = next(iter(metrics)).replace("_", " ") if len(metrics) == 1 else "score"
    return [
        Column(metric, "%" if share else "", _score, "score", _score_interval),
        Column(
            "difference",
            "points" if share else "",
            lambda row: words.difference(row["delta"], row["metric"]),
            "delta",
            _difference_interval,
            "verdict",
        ),
        Column("size", "kB", lambda row: words.kilobytes(row["size_bytes"]), "size_bytes"),
        Column("smaller", "×", lambda row: words.times(row["compression_ratio"]), "compression_ratio"),
        Column(
            "latency",
            "ms",
            _latency,
            "latency_ms_p50",
            lambda row: words.interval(row["latency_lo"], row["latency_hi"], words.digits),
        ),
        Column(
            "speed-up",
            "×",
            lambda row: words.speed(row["speedup"]),
            "speedup",
            lambda row: words.interval(row["speedup_lo"], row["speedup_hi"], words.speed),
            "speed_verdict",
        ),
        *(
            Column(f"vs {head}", "×", lambda row, key=key: words.speed(value(row, key)), key)
            for key, head in REFERENCES.items()
            if any(value(row, key) is not None for row in rows)
        ),
    ]


def few(rows: list[Row], columns: list[str]) -> pd.DataFrame:
    """The versions that have figures, a line each, and these of their columns (`extra.sparsity` too), as numbers under words."""
    frame = table(ok(rows), ["label", *columns]).set_index("label").rename_axis(None)
    frame = frame.rename(columns=words.parameter).round(4).convert_dtypes().astype(object)
    return frame.where(frame.notna(), "–")


def table(rows: list[Row], columns: str | list[str] = "short") -> pd.DataFrame:
    """A DataFrame, one line a version, seeds merged. `short`: text with intervals and verdicts; `all`: every column as
    it is; a list: those columns (`asked.pruning_ratio` too), raw.

    Raises BadInput for an unknown word."""
    if columns == "all":
        return pd.DataFrame([rows_module.flatten(row) for row in rows])
    if not isinstance(columns, str):
        return pd.DataFrame([{key: value(row, key) for key in columns} for row in rows])
    if columns != "short":
        raise BadInput(f"columns {columns!r} is unknown; known: short, all, or a list of column names")
    rows = merge(rows)
    frame = pd.DataFrame([_texts(row, columns_of(rows)) for row in rows]).fillna("")
    empty = [name for name, usual in (("status", "ok"), ("flags", "")) if name in frame and (frame[name] == usual).all()]
    return frame.drop(columns=empty)


def _texts(row: Row, columns: list[Column]) -> dict[str, str]:
    """One line of the text table."""
    texts = {"version": words.name(row), "runtime": row["runtime"] or "", "format": row["precision"] or ""}
    for column in columns:
        head = f"{column.head}, {column.unit}" if column.unit else column.head
        known = row["status"] == "ok" and not (column.key in ITSELF and _is_itself(row))
        texts[head] = words.with_interval(column.main(row), column.around(row)) if known else ""
        if column.verdict:
            texts[column.verdict.replace("_", " ")] = row[column.verdict] or "" if known else ""
    return texts | {"status": words.reason(row) or "ok", "flags": "; ".join((row["extra"] or {}).get("flags") or [])}


def show(rows: list[Row], caption: str = "") -> Any:
    """The table for a notebook: an object that JupyterLab and nbconvert show as HTML, other places as text."""
    from IPython.display import HTML

    return HTML(f"<style>{STYLE}</style>{html_table(rows, caption)}")


def html_table(rows: list[Row], caption: str = "", chosen: Row | None = None) -> str:
    """`<div><table>…` with scoped headers; wide tables scroll sideways. Everything from the rows is escaped.

    The line of `chosen`, the row to ship, is marked."""
    rows = merge(rows)
    if not rows:
        return "<p>No rows.</p>"
    columns = columns_of(rows)
    heads = "".join(_head(column) for column in columns)
    ship = _point(chosen) if chosen else None
    body = "".join(_line(row, columns, ship=_point(row) == ship) for row in rows)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    label = escape(caption or "Versions and their figures")
    return (
        f'<div class="eb-scroll" tabindex="0" role="region" aria-label="{label}">'
        f'<table class="eb-rows">{title}<thead><tr>'
        f'<th scope="col">version</th>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _head(column: Column) -> str:
    unit = f' <span class="eb-unit">{escape(column.unit)}</span>' if column.unit else ""
    return f'<th scope="col" class="eb-n">{escape(column.head)}{unit}</th>'


def _point(row: Row) -> tuple:
    return tuple(row[key] for key in POINT)


def _is_itself(row: Row) -> bool:
    """Whether this row is the baseline that the others are compared with."""
    return row["row_id"] == row["baseline_id"] or (row["family"] == "baseline" and row["precision"] == "fp32")


def _line(row: Row, columns: list[Column], *, ship: bool) -> str:
    """One `<tr>`: the figures, or the reason why there are none."""
    kind = "eb-base" if row["family"] == "baseline" else f"eb-{escape(str(row['status']))}"
    mark = ' <span class="eb-v eb-ship">ship</span>' if ship else ""
    where = " · ".join(str(part) for part in (row["runtime"], row["precision"]) if part)
    flags = "; ".join((row["extra"] or {}).get("flags") or [])
    said = f'<span class="eb-v eb-flag">{escape(flags)}</span>' if flags and row["status"] == "ok" else ""
    first = f'<th scope="row">{escape(words.name(row))}{mark}<span class="eb-ci">{escape(where)}</span>{said}</th>'
    if row["status"] == "ok":
        return f'<tr class="{kind}">{first}{"".join(_cell(row, column) for column in columns)}</tr>'
    return f'<tr class="{kind}">{first}<td colspan="{len(columns)}" class="eb-why">{escape(words.reason(row))}</td></tr>'


def _cell(row: Row, column: Column) -> str:
    """One `<td>`: main figure, verdict, interval."""
    if column.key in ITSELF and _is_itself(row):
        return f'<td class="eb-n eb-unit">{"baseline" if column.key == "delta" else words.NONE}</td>'
    raw = value(row, column.key)
    sort = f' data-v="{raw:.6g}"' if isinstance(raw, int | float) else ""
    said = str(row[column.verdict]) if column.verdict and row[column.verdict] else ""
    chip = f' <span class="eb-v eb-{escape(said.replace(" ", "-"))}">{escape(said)}</span>' if said else ""
    around = column.around(row)
    under = f'<span class="eb-ci">{escape(around)}</span>' if around else ""
    return f'<td class="eb-n"{sort}>{escape(column.main(row))}{chip}{under}</td>'
