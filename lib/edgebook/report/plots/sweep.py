"""One figure of a version against one parameter."""

from __future__ import annotations

from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edgebook.report import format as fmt
from edgebook.report import theme
from edgebook.report.aggregate import ENDS, grouped, value
from edgebook.report.plots import axes as shared
from edgebook.rows import Row


def sweep(
    rows: list[Row],
    x: str = "asked.pruning_ratio",
    y: str = "score",
    hue: str | None = "asked.importance",
    *,
    title: str = "",
) -> Figure:
    """`y` with its interval against a parameter, one line for each `hue` (and runtime, if there are several); the baseline is a
    dashed line with its interval as a band, and alone where every point failed.

    Raises BadInput when no row has `y`, or when points have it and none has `x`.
    """
    scored = shared.need(rows, y)
    lines = [row for row in scored if row["family"] == "baseline"]
    placed = shared.need(scored, x) if len(scored) > len(lines) else [row for row in lines if value(row, x) is not None]
    points = [row for row in placed if row["family"] != "baseline" or hue is None] or placed
    figure, axes = theme.new_figure(title or f"{shared.heading(y, scored)} against {fmt.parameter(x)}")
    factor, places = shared.scale(y, scored), _places([value(row, x) for row in points])
    several = len({row["runtime"] for row in points}) > 1
    data = [
        {"x": places[value(row, x)], "y": value(row, y) * factor, "series": _series(row, hue, several), "runtime": row["runtime"]}
        for row in points
    ]
    colours = theme.colours([point["series"] for point in data])
    markers = {point["runtime"]: theme.marker(point["runtime"]) for point in data}
    if points:
        look = {"palette": colours, "markers": markers, "dashes": False, "errorbar": None, "markeredgecolor": "white"}
        sns.lineplot(pd.DataFrame(data), x="x", y="y", hue="series", style="runtime", ax=axes, legend=False, **look)
    for point, row in zip(data, points, strict=True):
        shared.interval_bar(axes, point["x"], row, y, factor, color=colours[point["series"]], alpha=0.6)
    _ticks(axes, places)
    axes.set(xlabel=fmt.parameter(x), ylabel=shared.title(y, scored))
    handles = [shared.dot(name, colour, _marker_of(name, data)) for name, colour in colours.items()]
    handles += _baselines(axes, lines, y, factor)
    if len(handles) > 1:
        axes.legend(handles=handles, loc="best", labelcolor=theme.INK)
    return figure


def _series(row: Row, hue: str | None, several: bool) -> str:
    """The legend entry of a row's line."""
    shade = value(row, hue) if hue else None
    parts = [None if shade is None else str(shade), row["runtime"] if several else None]
    return ", ".join(part for part in parts if part) or theme.family(row["family"]).label


def _marker_of(series: str, data: list[dict[str, Any]]) -> str:
    return next(theme.marker(point["runtime"]) for point in data if point["series"] == series)


def _places(values: list[Any]) -> dict[Any, float]:
    """Where each value stands on the axis: a number at itself, anything else in order of appearance."""
    if all(isinstance(item, int | float) for item in values):
        return {item: float(item) for item in values}
    return {item: float(number) for number, item in enumerate(dict.fromkeys(values))}


def _ticks(axes: Axes, places: dict[Any, float]) -> None:
    """A tick at every value, unless there are too many numbers."""
    if not all(isinstance(item, int | float) for item in places):
        axes.set_xticks(list(places.values()), list(map(str, places)))
    elif len(places) <= 9:
        axes.set_xticks(sorted(places.values()))


def _baselines(axes: Axes, lines: list[Row], y: str, factor: float) -> list[Any]:
    """Dashed lines for the float baseline, as legend handles: one for a score, one per runtime for anything else."""
    lines = [row for row in lines if row["precision"] == "fp32" and row["role"] == "baseline"] or lines
    lines = lines[:1] if y in shared.SCORES else [group[0] for group in grouped(lines, ("runtime",)).values()]
    handles = []
    for row in lines:
        name = f"float baseline, {row['runtime']}" if len(lines) > 1 else "float baseline"
        look = {"color": theme.INK, "lw": 1.1, "ls": (0, (5, 3)), "zorder": 1}
        handles.append(axes.axhline(value(row, y) * factor, label=name, **look))
        low, high = (row.get(end) for end in ENDS.get(y, ("", "")))
        if low is not None and high is not None:
            axes.axhspan(low * factor, high * factor, color=theme.INK, alpha=0.07, lw=0, zorder=0)
    return handles
