"""Rows with `extra.robustness` -> where compression costs robustness, and where it does not."""

from __future__ import annotations

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
COLUMNS = 3  # panels side by side


def details(rows: list[Row], key: str = "calibration_error", *, severity: int = 3) -> pd.DataFrame:
    """One line per file: one of the metric's details in percent or points, on clean items and under each corruption at a
    severity; empty where the metric has no such detail.
    """
    having = [row for row in ok(rows) if key in _clean(row)]
    lines = []
    for row in having:
        at = {f"{name} {severity}": by_severity[severity - 1] for name, by_severity in _corrupted(row).items()}
        lines.append({split: fmt.share(values.get(key)) for split, values in ({CLEAN: _clean(row)} | at).items()})
    return pd.DataFrame(lines, index=[_name(row) for row in having])


def table(rows: list[Row]) -> pd.DataFrame:
    """Text, one line per corruption and file, on clean items and at every severity: the score of the first file, of the others
    the paired difference from it with its interval.
    """
    rows = ok(rows)
    places = [(name, row) for name in (_corrupted(rows[0]) if rows else ()) for row in rows]
    lines = [[_cell(values, row["metric"]) for values in (_clean(row), *_corrupted(row)[name])] for name, row in places]
    severities = range(1, len(lines[0])) if lines else ()
    index = [[name for name, _ in places], [_name(row) for _, row in places]]
    return pd.DataFrame(lines, pd.MultiIndex.from_arrays(index), [CLEAN, *(f"severity {number}" for number in severities)])


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
    high = 2.4 * -(-len(names) // COLUMNS) + 1.2
    figure, panels = theme.new_figure(title, wide=8.0, high=high, panels=len(names), columns=COLUMNS)
    base, *others = dict.fromkeys(frame["version"])
    palette = {base: theme.family("baseline").colour} | theme.colours(others)
    dashes = {name: (3, 1.5) if number > len(theme.SERIES) else "" for number, name in enumerate(palette)}  # colours repeat
    label, room = fmt.with_unit(shown.label, shown.unit), 0.02 * shown.scale
    look = {"hue": "version", "style": "version", "palette": palette, "dashes": dashes, "legend": False}
    for axes, name in zip([panels] if len(names) == 1 else panels, names, strict=True):
        sns.lineplot(frame[frame["corruption"] == name], x="severity", y="score", ax=axes, **look)
        axes.set_title(name, fontsize=9, fontweight="normal", loc="center")
        axes.set(xlabel="severity", ylabel=label if axes.get_subplotspec().is_first_col() else "")
        axes.set(xticks=frame["severity"].unique(), ylim=(frame["score"].min() - room, frame["score"].max() + room))
    styles = {name: {"color": colour, "ls": "--" if dashes[name] else "-"} for name, colour in palette.items()}
    handles = [figure.axes[0].plot([], [], label=name, **style)[0] for name, style in styles.items()]
    figure.legend(handles=handles, loc="outside lower left", ncols=2)
    return figure


def notes(rows: list[Row]) -> list[str]:
    """One sentence per file that loses more against the first one under some corruption than on clean items.

    A corruption counts when the interval of its paired difference lies below that of the clean difference, at any severity.
    """
    costly = [(row, _first_costs(row)) for row in ok(rows) if "delta" in _clean(row)]
    texts = {_name(row): ", ".join(f"{name} from severity {number}" for name, number in costs.items()) for row, costs in costly}
    return [f"{name} loses more than on clean items under {text}." for name, text in texts.items() if text]


def answer(rows: list[Row]) -> str:
    """One sentence: which corruptions cost how many of the compressed files more than clean items do, and which none."""
    compared = [_first_costs(row) for row in ok(rows) if "delta" in _clean(row)]
    if not compared:
        return "No compressed file could be compared."
    counts = {name: sum(name in costs for costs in compared) for name in _corrupted(ok(rows)[0])}
    costly = [f"{name} ({count} of {len(compared)} files)" for name, count in counts.items() if count]
    harmless = [name for name, count in counts.items() if not count]
    parts = [f"costs more than on clean items under {', '.join(costly)}"] if costly else []
    parts += [f"no more than on clean items, as far as can be told, under {', '.join(harmless)}"] if harmless else []
    return f"Compression {'' if costly else 'costs '}{'; '.join(parts)}."


def _first_costs(row: Row) -> dict[str, int]:
    """Corruption -> the first severity at which the interval of the difference lies below that of the clean difference."""
    low, costs = _clean(row)["delta_lo"], {}
    for name, by_severity in _corrupted(row).items():
        worse = [severity for severity, values in enumerate(by_severity, 1) if values["delta_hi"] < low]
        costs |= {name: worse[0]} if worse else {}
    return costs


def _name(row: Row) -> str:
    """The version with its runtime and number format: the quantized files of a network may have its label."""
    return f"{fmt.name(row)} ({fmt.where(row)})"


def _clean(row: Row) -> Values:
    return row["extra"]["robustness"][CLEAN]


def _corrupted(row: Row) -> dict[str, list[Values]]:
    """Corruption -> values at severity 1, 2, ..."""
    return row["extra"]["robustness"]["corrupted"]


def _cell(values: Values, metric: str) -> str:
    if "delta" not in values:
        return fmt.score(values["score"], metric, unit=True)
    ends = fmt.difference_ends(values["delta_lo"], values["delta_hi"], metric)
    text = fmt.with_interval(fmt.difference(values["delta"], metric), ends)
    return text.replace(" ", "\u00a0").replace("\u00a0(", " (")  # a line may end before the interval, not inside
