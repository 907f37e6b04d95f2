"""Rows with `extra.robustness` -> where compression costs robustness, and where it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from edgebook.errors import BadInput
from edgebook.report import format as fmt
from edgebook.report import theme
from edgebook.report.aggregate import ok
from edgebook.rows import Row

Values = dict[str, Any]  # of one file on one corruption: score, delta, their intervals, details
CLEAN = "clean"


def table(rows: list[Row], *, severity: int = 3) -> pd.DataFrame:
    """One line per file: its clean score, then the score under each corruption at a severity, with the paired difference from
    the first file and its interval. Text.
    """
    return _table(rows, severity, lambda values, row: _score(values, row["metric"]))


def details(rows: list[Row], key: str = "calibration_error", *, severity: int = 3) -> pd.DataFrame:
    """The same for one of the metric's details, in percent or points; empty where the metric has no such detail."""
    having = [row for row in ok(rows) if key in _clean(row)]
    return _table(having, severity, lambda values, row: fmt.share(values.get(key)))


def curves(rows: list[Row], *, title: str = "Score by severity") -> Figure:
    """One panel per corruption: the score of each file against the severity, 0 is clean. Raises BadInput without scores."""
    if not ok(rows):
        raise BadInput("no file could be scored: nothing to draw")
    names, shown = list(_corrupted(ok(rows)[0])), fmt.metric(rows[0]["metric"])
    points = [
        {"corruption": name, "severity": severity, "score": values["score"] * shown.scale, "version": _name(row)}
        for row in ok(rows)
        for name, by_severity in _corrupted(row).items()
        for severity, values in enumerate([_clean(row), *by_severity])
    ]
    frame = pd.DataFrame(points)
    figure, panels = theme.new_figure(title, wide=2.1 * len(names) + 0.8, high=3.2, panels=len(names))
    palette = theme.colours(list(dict.fromkeys(frame["version"])))
    for axes, name in zip([panels] if len(names) == 1 else panels, names, strict=True):
        part = frame[frame["corruption"] == name]
        sns.lineplot(part, x="severity", y="score", hue="version", palette=palette, legend=False, ax=axes)
        axes.set_title(name, fontsize=9, fontweight="normal", loc="center")
        axes.set(xlabel="severity", ylabel=f"{shown.label}, {shown.unit}" if axes.get_subplotspec().is_first_col() else "")
        axes.set_ylim(frame["score"].min() - 2, frame["score"].max() + 2)
    handles = [figure.axes[0].plot([], [], color=colour, label=name)[0] for name, colour in palette.items()]
    figure.legend(handles=handles, loc="outside lower left", ncols=3)
    return figure


def notes(rows: list[Row]) -> list[str]:
    """One sentence per compressed file: under which corruptions it loses more against the first file than on clean items.

    A corruption counts when the interval of its paired difference lies below that of the clean difference, at any severity.
    Empty where the first file could not be scored.
    """
    compared = [row for row in ok(rows) if "delta" in _clean(row)]
    return [f"{_name(row)}: against {_name(rows[0])} it {_cost(row)}." for row in compared]


def _cost(row: Row) -> str:
    low, places = _clean(row)["delta_lo"], []
    for name, by_severity in _corrupted(row).items():
        worse = [severity for severity, values in enumerate(by_severity, 1) if values["delta_hi"] < low]
        places += [f"{name} from severity {worse[0]}"] if worse else []
    if not places:
        return "loses no more than on clean items, as far as can be told"
    return f"loses more than on clean items under {', '.join(places)}"


def _table(rows: list[Row], severity: int, cell: Callable[[Values, Row], str]) -> pd.DataFrame:
    """One line per file, a column for clean items and for each corruption."""
    lines = []
    for row in ok(rows):
        at = {f"{name} {severity}": by_severity[severity - 1] for name, by_severity in _corrupted(row).items()}
        lines.append({split: cell(values, row) for split, values in ({CLEAN: _clean(row)} | at).items()})
    return pd.DataFrame(lines, index=[_name(row) for row in ok(rows)])


def _name(row: Row) -> str:
    """The version with its number format: the quantized files of a network may have its label."""
    return f"{fmt.name(row)} ({row['precision']})"


def _clean(row: Row) -> Values:
    return row["extra"]["robustness"][CLEAN]


def _corrupted(row: Row) -> dict[str, list[Values]]:
    """Corruption -> values at severity 1, 2, ..."""
    return row["extra"]["robustness"]["corrupted"]


def _score(values: Values, metric: str) -> str:
    if "delta" not in values:
        return fmt.score(values["score"], metric)
    ends = fmt.interval(values["delta_lo"], values["delta_hi"], lambda end: fmt.difference(end, metric))
    return f"{fmt.score(values['score'], metric)} ({fmt.difference(values['delta'], metric)}, {ends})"
