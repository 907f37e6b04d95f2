"""Differences with their intervals, one below the other."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib.figure import Figure

from edgebook.errors import BadInput
from edgebook.report import format as fmt
from edgebook.report import theme
from edgebook.report.effects import Effect

COLOURS = {"hurts": theme.SERIES[1], "makes no difference": theme.SOFT, "helps": theme.SERIES[2]}  # cannot tell: hollow


def effects(shown: Sequence[Effect], *, title: str = "What each change does to the test score") -> Figure:
    """A dot and an interval for each effect; within the grey band a difference does not matter. Raises BadInput for none."""
    if not shown:
        raise BadInput("no effect to draw: a version or its control has no score")
    metric = fmt.metric(shown[0].metric)
    figure, axes = theme.new_figure(title, high=1.3 + 0.36 * len(shown))
    margin = shown[0].margin * metric.scale
    axes.axvspan(-margin, margin, color=theme.INK, alpha=0.06, lw=0)
    axes.axvline(0, color=theme.INK, lw=1.1)
    for place, each in enumerate(shown):
        colour = COLOURS.get(each.verdict, theme.SOFT)
        ends = [[(each.delta - each.lo) * metric.scale], [(each.hi - each.delta) * metric.scale]]
        face = colour if each.verdict in COLOURS else "white"
        axes.errorbar(each.delta * metric.scale, place, xerr=ends, fmt="o", color=colour, mfc=face, elinewidth=1.6)
    several = len({each.on for each in shown}) > 1
    names = [f"{each.label}, on {each.on}" if several and each.on else each.label for each in shown]
    axes.set_yticks(range(len(shown)), [textwrap.shorten(name, 60, placeholder=" …") for name in names])
    label = fmt.with_unit(f"difference in test {metric.label}", metric.difference_unit)
    axes.set(ylim=(len(shown) - 0.5, -0.5), xlabel=label)
    axes.grid(visible=False, axis="y")
    return figure
