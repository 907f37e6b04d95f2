"""Scores before and after training on the device, on two kinds of data."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from edgebook.report import format as fmt
from edgebook.report import theme
from edgebook.report.adaptation import DATA
from edgebook.report.plots import axes as shared

APART = 0.12  # between the dots of one line


def adaptation(lines: list[dict[str, Any]], metric: str, *, title: str) -> Figure:
    """A line for each way of training, with a dot and an interval for the shifted and for the original data."""
    shown = fmt.metric(metric)
    figure, axes = theme.new_figure(title, high=1.4 + 0.45 * len(lines))
    colours = dict(zip(DATA, (theme.SERIES[1], theme.SERIES[2]), strict=True))
    for place, line in enumerate(lines):
        for side, (name, colour) in zip((-APART, APART), colours.items(), strict=True):
            score, low, high = (part * shown.scale for part in line[name])
            axes.errorbar(score, place + side, xerr=[[score - low], [high - score]], fmt="o", color=colour, elinewidth=1.6)
    axes.set_yticks(range(len(lines)), [str(line["trained by"]) for line in lines])
    label = fmt.with_unit(f"test {shown.label}", shown.unit)
    axes.set(ylim=(len(lines) - 0.5, -0.5), xlabel=label, ylabel="trained by")
    axes.grid(visible=False, axis="y")
    shared.legend_below(figure, [shared.dot(name, colour) for name, colour in colours.items()])
    return figure
