"""Every version by cost and score, and those that no other beats."""

from __future__ import annotations

from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from edgebook.report import choose, theme
from edgebook.report import format as fmt
from edgebook.report.aggregate import POINT
from edgebook.report.plots import axes as shared
from edgebook.rows import Row

LABELLED = 7  # points at most
DEPTH = 0.4  # share of the way from the best score to a constant answer's that is drawn
LINE = {"color": theme.INK, "lw": 1, "alpha": 0.55}


def front(rows: list[Row], x: str = "size_bytes", *, title: str = "", wide: float = 7.0, chosen: Row | None = None) -> Figure:
    """Every version by cost (log) and test score: colour = family, marker = runtime, hollow = control or reference, a ring
    around `chosen`, the row to ship.

    The line joins the members of the front: chosen on validation, drawn at their test scores. What lies far below the best is
    left out and counted. Raises BadInput when no row has both figures.
    """
    points = shared.need(rows, x, "score")
    members = {row["row_id"]: row for row in choose.front(points, x)}
    factor, cost = shared.scale("score", points), shared.scale(x, points)
    text = title or f"{shared.heading('score', points)} against {shared.heading(x, points).lower()}"
    figure, axes = theme.new_figure(text, wide=wide, high=0.66 * wide if wide > 6 else 0.82 * wide)
    axes.plot([row[x] * cost for row in members.values()], [row["score"] * factor for row in members.values()], zorder=1, **LINE)
    data = pd.DataFrame([_point(row, x, cost, factor, row["row_id"] in members) for row in points])
    _scatter(axes, data)
    for row in members.values():
        colour = theme.family(row["family"]).colour
        shared.interval_bar(axes, row[x] * cost, row, "score", factor, color=colour, alpha=0.55, zorder=2)
    ringed = [row for row in points if chosen is not None and all(row[key] == chosen[key] for key in POINT)]
    for row in ringed:
        ring = {"facecolors": "none", "edgecolors": theme.INK, "linewidths": 1.4}
        axes.scatter(row[x] * cost, row["score"] * factor, s=170, zorder=5, **ring)
    shared.log_axis(axes.xaxis, data["x"].min(), data["x"].max())
    axes.set(xlabel=shared.title(x, points), ylabel=shared.title("score", points))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.margins(y=0.12)
    _leave_out_far_below(axes, points, factor)
    shared.legend_below(figure, _legend(points, data, ring=bool(ringed)), columns=4 if wide > 6 else 3)
    lines = [row for row in points if row["family"] == "baseline" and row["role"] == "baseline"]
    named = {row["row_id"]: row for row in [*ringed, *list(members.values())[:: max(1, len(members) // 4)], *lines]}
    labels = [
        (row[x] * cost, row["score"] * factor, fmt.name(row), theme.family(row["family"]).colour)
        for row in list(named.values())[:LABELLED]
    ]
    shared.label_points(axes, labels, list(zip(data["x"], data["y"], strict=True)))
    return figure


def _point(row: Row, x: str, cost: float, factor: float, is_member: bool) -> dict[str, Any]:
    return {
        "x": row[x] * cost,
        "y": row["score"] * factor,
        "family": theme.family(row["family"]).label,
        "runtime": str(row["runtime"]),
        "ships": row["role"] in choose.SHIP,
        "strong": is_member or row["role"] == "baseline",
    }


def _scatter(axes: Axes, data: pd.DataFrame) -> None:
    """Members of the front and baselines large and solid, other versions smaller and pale, what never ships hollow."""
    labels = {family.label: family.colour for family in theme.FAMILIES.values()}
    palette = {name: labels.get(name, theme.SOFT) for name in data["family"]}
    markers = {name: theme.marker(name) for name in data["runtime"]}
    for (ships, strong), part in data.groupby(["ships", "strong"]):
        look = {"s": 52 if strong else 30, "alpha": 1 if strong else 0.5, "zorder": 4 if strong else 3, "linewidth": 0.8}
        sns.scatterplot(
            part, x="x", y="y", hue="family", style="runtime", palette=palette, markers=markers, legend=False, ax=axes, **look
        )
        if not ships:
            dots: Any = axes.collections[-1]
            dots.set_edgecolors(dots.get_facecolors())
            dots.set_facecolors("none")


def _leave_out_far_below(axes: Axes, points: list[Row], factor: float) -> None:
    """Cut the axis far below the best, and count what is left out: it would flatten what there is to choose from."""
    scores = [row["score"] for row in points]
    chance = min((row["chance"] for row in points if row["chance"] is not None), default=None)
    if chance is None or chance >= max(scores):
        return
    floor = max(scores) - DEPTH * (max(scores) - chance)
    below = sum(score < floor for score in scores)
    if below:
        shown = [score for score in scores if score >= floor]
        room = 0.08 * (max(scores) - floor) * factor
        axes.set_ylim(min(shown) * factor - room, max(scores) * factor + room)
        text = f"{below} more below {fmt.score(floor, points[0]['metric'], unit=True)}"
        axes.text(0.99, 0.02, text, transform=axes.transAxes, ha="right", fontsize=8.5, color=theme.SOFT)


def _legend(points: list[Row], data: pd.DataFrame, *, ring: bool) -> list[Line2D]:
    """Families by colour, runtimes by marker, the line of the front; under the axes."""
    families = {theme.family(row["family"]).label: theme.family(row["family"]).colour for row in points}
    handles = [shared.dot(name, colour, size=6) for name, colour in families.items()]
    runtimes = dict.fromkeys(data["runtime"])
    if len(runtimes) > 1:
        handles += [shared.dot(name, theme.SOFT, theme.marker(name), size=6) for name in runtimes]
    if not data["ships"].all():
        handles.append(shared.dot("control, reference", theme.SOFT, hollow=True, size=6))
    handles.append(Line2D([], [], label="front, by validation", **LINE))
    return handles + ([shared.dot("to ship", theme.INK, hollow=True, size=9)] if ring else [])
