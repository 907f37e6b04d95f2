"""Rows -> one table: a DataFrame of text, or HTML for notebooks and pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any

import pandas as pd

from edgebook.errors import BadInput
from edgebook.report import format as fmt
from edgebook.report.aggregate import POINT, merge, ok, value
from edgebook.report.columns import Column, columns_of, feeding, why_not
from edgebook.report.stylesheet import STYLE
from edgebook.rows import Row, flatten

pd.set_option("display.max_colwidth", None)  # a sentence in a table is shown whole


def few(rows: list[Row], columns: list[str]) -> pd.DataFrame:
    """The versions that have figures, a line each, and these of their columns (`extra.sparsity` too), as rounded numbers."""
    frame = table(ok(rows), ["label", *columns]).set_index("label").rename_axis(None)
    frame = frame.rename(columns=fmt.parameter).round(4).convert_dtypes().astype(object)
    return frame.where(frame.notna(), fmt.NONE)


def plain(lines: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Lines of figures that are no rows, with rounded numbers, under their first column."""
    if not lines:
        return pd.DataFrame()
    frame = pd.DataFrame(lines).rename(columns=fmt.parameter)
    return frame.set_index(frame.columns[0]).rename_axis(None).round(4)


def table(rows: list[Row], columns: str | list[str] = "short") -> pd.DataFrame:
    """A DataFrame, one line per version. `short`: text with intervals and verdicts, seeds merged; `all`: every column as it is; a
    list: those columns (`asked.pruning_ratio` too), as they are.

    Raises BadInput for an unknown word.
    """
    if columns == "all":
        return pd.DataFrame([flatten(row) for row in rows])
    if not isinstance(columns, str):
        return pd.DataFrame([{key: value(row, key) for key in columns} for row in rows], columns=columns)
    if columns != "short":
        raise BadInput(f"columns {columns!r} is unknown; allowed: short, all, or a list of column names")
    rows = merge(rows)
    columns_shown, names = columns_of(rows), unique_names(rows)
    frame = pd.DataFrame([{"version": names[row["row_id"]], **_texts(row, rows, columns_shown)} for row in rows]).fillna("")
    empty = [name for name, usual in (("status", "ok"), ("flags", "")) if name in frame and (frame[name] == usual).all()]
    return frame.drop(columns=empty)


def _texts(row: Row, rows: list[Row], columns: list[Column]) -> dict[str, str]:
    """One line of the text table, without the version's name."""
    texts = {"runtime": row["runtime"] or "", "format": row["precision"] or ""}
    for column in columns:
        head, applies = fmt.with_unit(column.head, column.unit), column.applies(row)
        texts[head] = fmt.with_interval(column.main(row), column.around(row)) if applies else ""
        if column.verdict:
            texts[column.verdict.replace("_", " ")] = (applies and row[column.verdict]) or ""
    return texts | {"status": why_not(row, rows) or "ok", "flags": "; ".join(value(row, "extra.flags") or [])}


def unique_names(rows: list[Row]) -> dict[str, str]:
    """row_id -> name: the label, with the notebook and then a number where another row has the same name, runtime and format."""
    names = {row["row_id"]: fmt.name(row) for row in rows}
    for suffix in (lambda row, number: f" ({row['notebook']})", lambda row, number: f" #{number}"):
        places = {row["row_id"]: (names[row["row_id"]], row["runtime"], row["precision"]) for row in rows}
        counts, numbers = Counter(places.values()), Counter()
        for row in rows:
            place = places[row["row_id"]]
            if counts[place] > 1:
                numbers[place] += 1
                names[row["row_id"]] += suffix(row, numbers[place])
    return names


def show(rows: list[Row], caption: str = "") -> Any:
    """The table for a notebook: an object that JupyterLab and nbconvert show as HTML, other places as text."""
    from IPython.display import HTML

    return HTML(f"<style>{STYLE}</style>{html_table(rows, caption)}")


def html_table(rows: list[Row], caption: str = "", chosen: Row | None = None) -> str:
    """`<div><table>…` with scoped headers; wide tables scroll sideways. Everything from the rows is escaped.

    The line of `chosen`, the row to ship, is marked.
    """
    rows = merge(rows)
    if not rows:
        return "<p>No rows.</p>"
    columns, names = columns_of(rows), unique_names(rows)
    ship = _point(chosen) if chosen else None
    lines = [_line(row, rows, columns, names[row["row_id"]], ship=_point(row) == ship) for row in rows]
    return frame(caption, "Versions and their figures", ["version", *map(_head, columns)], lines)


def frame(caption: str, label: str, heads: list[str], lines: list[str]) -> str:
    """A table of HTML `lines` that scrolls sideways; a head is HTML, or a plain word for the first column."""
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    first, *rest = heads
    return (
        f'<div class="eb-scroll" tabindex="0" role="region" aria-label="{escape(caption or label)}">'
        f'<table class="eb-rows">{title}<thead><tr><th scope="col">{escape(first)}</th>{"".join(rest)}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _head(column: Column) -> str:
    unit = f' <span class="eb-unit">{escape(column.unit)}</span>' if column.unit else ""
    return f'<th scope="col" class="eb-n">{escape(column.head)}{unit}</th>'


def _point(row: Row) -> tuple:
    return tuple(row[key] for key in POINT)


def chip(text: str, kind: str = "") -> str:
    """A short word in a rounded box; `kind` is its CSS class, the text's own when left out."""
    return f'<span class="eb-v eb-{escape((kind or text).replace(" ", "-"))}">{escape(text)}</span>'


def _line(row: Row, rows: list[Row], columns: list[Column], name: str, *, ship: bool) -> str:
    """One `<tr>`: the figures, or the reason why there are none."""
    kind = "eb-base" if row["role"] == "baseline" else f"eb-{escape(str(row['status']))}"
    marks = [chip("ship")] if ship else [chip(row["role"], "role")] if row["role"] in ("control", "reference") else []
    flags = value(row, "extra.flags")
    below = "".join(f'<span class="eb-ci">{escape(text)}</span>' for text in feeding(row))
    below += chip("; ".join(flags), "flag") if flags and row["status"] == "ok" else ""
    where = f'<span class="eb-ci">{escape(fmt.where(row, " · "))}</span>'
    first = f'<th scope="row">{escape(name)}{"".join(f" {mark}" for mark in marks)}{where}{below}</th>'
    if row["status"] == "ok":
        return f'<tr class="{kind}">{first}{"".join(_cell(row, column) for column in columns)}</tr>'
    return f'<tr class="{kind}">{first}<td colspan="{len(columns)}" class="eb-why">{escape(why_not(row, rows))}</td></tr>'


def _cell(row: Row, column: Column) -> str:
    """One `<td>`: main figure, verdict, interval."""
    if not column.applies(row):
        return f'<td class="eb-n eb-unit">{"baseline" if column.key == "delta" else fmt.NONE}</td>'
    raw = value(row, column.key)
    sort = f' data-v="{raw:.6g}"' if isinstance(raw, int | float) else ""
    verdict = f" {chip(str(row[column.verdict]))}" if column.verdict and row[column.verdict] else ""
    around = column.around(row)
    under = f'<span class="eb-ci">{escape(around)}</span>' if around else ""
    return f'<td class="eb-n"{sort}>{escape(column.main(row))}{verdict}{under}</td>'
