"""Rows -> figures. Every function returns a matplotlib Figure; its title is also its alt text."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from edgebook.report import format as words
from edgebook.report import theme as look
from edgebook.report.aggregate import ENDS, POINT, grouped, value
from edgebook.report.answer import front
from edgebook.report.plots import scales
from edgebook.report.plots.training import confusion, learning_curve
from edgebook.report.theme import INK, SOFT, style

__all__ = ["against", "bars", "confusion", "learning_curve", "pareto", "style"]

Row = dict[str, Any]
DEEPEST = 12.0  # points below the best that are still drawn


def pareto(
    rows: list[Row],
    x: str = "size_bytes",
    y: str = "score",
    *,
    title: str = "",
    wide: float = 7.0,
    mark: Row | None = None,
) -> Figure:
    """Every version by cost (log) and score: colour = family, marker = runtime; a ring around `mark`, the row to ship.

    The line joins the front's members: chosen on validation, drawn at their test scores.
    Raises BadInput when no row has both figures."""
    points = scales.need(rows, x, y)
    fx, fy = scales.scale(x, points), scales.scale(y, points)
    best = front(points, x) if x in ("size_bytes", "latency_ms_p50") else []
    best = [row for row in best if row[y] is not None]
    members = {id(row) for row in best}
    figure, axes = look.new(
        title or f"{scales.heading(y, points)} against {scales.heading(x, points).lower()}",
        wide=wide,
        high=0.66 * wide if wide > 6 else 0.82 * wide,
    )
    paint = look.colours([str(row["family"]) for row in points])
    for row in sorted(points, key=lambda row: id(row) in members):
        chosen = id(row) in members or row["family"] == "baseline"
        colour = paint[str(row["family"])]
        if id(row) in members and (ends := scales.whiskers(row, y, fy)):
            axes.errorbar(row[x] * fx, row[y] * fy, yerr=ends, color=colour, elinewidth=1, alpha=0.55, zorder=2)
        axes.scatter(
            row[x] * fx,
            row[y] * fy,
            s=52 if chosen else 30,
            marker=look.marker(row["runtime"]),
            color=colour,
            alpha=1 if chosen else 0.5,
            linewidths=0.8,
            edgecolors="white",
            zorder=4 if chosen else 3,
        )
    axes.plot([row[x] * fx for row in best], [row[y] * fy for row in best], color=INK, lw=1, alpha=0.55, zorder=1)
    look.log_axis(axes.xaxis, min(row[x] for row in points) * fx, max(row[x] for row in points) * fx)
    axes.set(xlabel=scales.title(x, points), ylabel=scales.title(y, points))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.margins(y=0.12)
    _cut(axes, [row[y] * fy for row in points], DEEPEST if fy == 100 else None)
    _legend(axes, points, paint, line=bool(best), ring=mark is not None)
    lines = [row for row in points if row["family"] == "baseline" and id(row) not in members]
    ringed = [row for row in points if mark is not None and all(row[key] == mark[key] for key in POINT)]
    for row in ringed:
        axes.scatter(row[x] * fx, row[y] * fy, s=170, facecolors="none", edgecolors=INK, linewidths=1.4, zorder=5)
    named = list({id(row): row for row in [*ringed, *best[:: max(1, len(best) // 4)], *lines]}.values())[:7]
    labels = [(row[x] * fx, row[y] * fy, words.name(row), paint[str(row["family"])]) for row in named]
    look.label_points(axes, labels, [(row[x] * fx, row[y] * fy) for row in points])
    return figure


def _cut(axes: Axes, heights: list[float], deepest: float | None) -> None:
    """Leave out what lies far below the best, and say how many: it would flatten what there is to choose from."""
    floor = max(heights) - deepest if deepest else -np.inf
    below = sum(height < floor for height in heights)
    if below:
        axes.set_ylim(floor - 0.5, max(heights) + 1.2)
        axes.text(
            0.99,
            0.02,
            f"{below} more below {floor:.0f} %",
            transform=axes.transAxes,
            ha="right",
            fontsize=8.5,
            color=SOFT,
        )


def _legend(axes: Axes, rows: list[Row], paint: dict[str, str], *, line: bool, ring: bool) -> None:
    """Families by colour, runtimes by marker, the front's line; under the axes."""
    dot = {"linestyle": "", "markeredgecolor": "white"}
    handles = [Line2D([], [], marker="o", color=colour, label=name, **dot) for name, colour in paint.items()]
    runtimes = dict.fromkeys(str(row["runtime"]) for row in rows)
    if len(runtimes) > 1:
        handles += [Line2D([], [], marker=look.marker(name), color=SOFT, label=name, **dot) for name in runtimes]
    if line:
        handles.append(Line2D([], [], color=INK, lw=1, alpha=0.55, label="front, by validation"))
    if ring:
        hollow = {"linestyle": "", "markerfacecolor": "none", "markeredgecolor": INK, "markersize": 9}
        handles.append(Line2D([], [], marker="o", label="to ship", **hollow))
    axes.figure.legend(handles=handles, loc="outside lower left", ncols=4, labelcolor=INK)


def against(
    rows: list[Row],
    x: str = "asked.pruning_ratio",
    y: str = "score",
    hue: str | None = "asked.importance",
    *,
    title: str = "",
) -> Figure:
    """A sweep: `y` with its interval against a parameter, one line for each `hue` (and runtime, if there are several);
    the baseline is a dashed line with its interval as a band, and alone where every point failed. Raises BadInput when no
    row has `y`, or when points have it and none has `x`."""
    good = scales.need(rows, y)
    lines = [row for row in good if row["family"] == "baseline"]
    known = scales.need(good, x) if len(good) > len(lines) else [row for row in lines if value(row, x) is not None]
    points = [row for row in known if row["family"] != "baseline" or hue is None] or known
    fy = scales.scale(y, points + lines)
    figure, axes = look.new(title or f"{scales.heading(y, points + lines)} against {words.parameter(x)}")
    places = _places([value(row, x) for row in points])
    several = len({row["runtime"] for row in points}) > 1
    named = {id(row): _series_name(row, hue, several) for row in points}
    paint = look.series(list(named.values()))
    for name, colour in paint.items():
        line = sorted((row for row in points if named[id(row)] == name), key=lambda row: places[value(row, x)])
        xs, ys = [places[value(row, x)] for row in line], [value(row, y) * fy for row in line]
        axes.plot(xs, ys, color=colour, marker=look.marker(line[0]["runtime"]), markeredgecolor="white", label=name)
        for at, row in zip(xs, line, strict=True):
            if ends := scales.whiskers(row, y, fy):
                axes.errorbar(at, value(row, y) * fy, yerr=ends, color=colour, elinewidth=1, alpha=0.6)
    if not all(isinstance(one, int | float) for one in places):
        axes.set_xticks(list(places.values()), list(map(str, places)))
    elif len(places) <= 9:
        axes.set_xticks(sorted(places.values()))
    _baseline(axes, lines, y, fy)
    axes.set(xlabel=words.parameter(x), ylabel=scales.title(y, points + lines))
    if len(paint) > 1 or lines:
        axes.legend(loc="best", labelcolor=INK)
    return figure


def _series_name(row: Row, hue: str | None, several: bool) -> str:
    """The legend entry of a row's line."""
    parts = [
        str(value(row, hue)) if hue and value(row, hue) is not None else None,
        str(row["runtime"]) if several else None,
    ]
    return ", ".join(part for part in parts if part) or str(row["family"])


def _places(values: list[Any]) -> dict[Any, float]:
    """Where each value stands on the axis: a number at itself, anything else in order of appearance."""
    if all(isinstance(one, int | float) for one in values):
        return {one: float(one) for one in values}
    return {one: float(i) for i, one in enumerate(dict.fromkeys(values))}


def _baseline(axes: Axes, lines: list[Row], y: str, fy: float) -> None:
    """Dashed lines for the float baseline: one for a score, one a runtime for anything else."""
    lines = [row for row in lines if row["precision"] == "fp32" and row["runtime"] != "torch"] or lines
    lines = lines[:1] if y in ("score", "val_score") else [group[0] for group in grouped(lines, ("runtime",)).values()]
    for row in lines:
        name = f"float baseline, {row['runtime']}" if len(lines) > 1 else "float baseline"
        axes.axhline(value(row, y) * fy, color=INK, lw=1.1, ls=(0, (5, 3)), label=name, zorder=1)
        low, high = (row.get(end) for end in ENDS.get(y, ("", "")))
        if low is not None and high is not None:
            axes.axhspan(low * fy, high * fy, color=INK, alpha=0.07, lw=0, zorder=0)


def bars(rows: list[Row], y: str = "score", x: str = "precision", hue: str | None = "runtime", *, title: str = "") -> Figure:
    """`y` with its interval for each `x` (precision), side by side, colour by `hue` (runtime).

    A score is a dot, for a bar that does not start at zero would mislead; everything else is a bar from zero.
    Raises BadInput when no row has `y`."""
    points = scales.need(rows, y, x)
    fy = scales.scale(y, points)
    hues = list(dict.fromkeys(str(value(row, hue)) if hue else "" for row in points))
    paint = look.series(hues)
    figure, axes = look.new(title or f"{scales.heading(y, points)} by {words.parameter(x)}")
    groups: dict[str, list[Row]] = {}
    for row in points:
        groups.setdefault(str(value(row, x)), []).append(row)
    step = 0.8 / max(map(len, groups.values()))
    for middle, group in enumerate(groups.values()):
        group.sort(key=lambda row: hues.index(str(value(row, hue)) if hue else ""))
        for place, row in enumerate(group):
            _mark(axes, row, y, fy, middle + (place - (len(group) - 1) / 2) * step, step, paint, hue)
    axes.set_xticks(range(len(groups)), [textwrap.fill(name, max(8, 72 // len(groups))) for name in groups])
    axes.set(xlim=(-0.6, len(groups) - 0.4), ylabel=scales.title(y, points))
    axes.grid(visible=False, axis="x")
    dot = {"linestyle": "", "markeredgecolor": "white", "markersize": 8}
    if len(paint) > 1:
        handles = [Line2D([], [], marker=look.marker(name), color=paint[name], label=name, **dot) for name in paint]
        figure.legend(handles=handles, loc="outside lower left", ncols=5, labelcolor=INK)
    return figure


def _mark(axes: Axes, row: Row, y: str, fy: float, at: float, step: float, paint: dict[str, str], hue: str | None) -> None:
    """One dot or bar with its interval."""
    name = str(value(row, hue)) if hue else ""
    if y in scales.SCORES:
        axes.plot(at, row[y] * fy, marker=look.marker(name), ls="", color=paint[name], markeredgecolor="white", ms=8)
    else:
        axes.bar(at, row[y] * fy, width=step * 0.86, color=paint[name], zorder=2)
    if ends := scales.whiskers(row, y, fy):
        axes.errorbar(at, row[y] * fy, yerr=ends, color=INK, elinewidth=1.1, alpha=0.75, zorder=3)
