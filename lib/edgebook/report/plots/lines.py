"""Figures that grow with each trial, one line for each method and seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from edgebook.errors import BadInput
from edgebook.report import format as fmt
from edgebook.report import theme
from edgebook.report.plots import axes as shared


def lines(points: Sequence[dict[str, Any]], x: str | list[str], y: str, hue: str, *, units: str = "seed", title: str) -> Figure:
    """`y` against `x`, a step for each point and a line for each `hue` and `units`; a panel for each of several `x`.

    Raises BadInput without points.
    """
    if not points:
        raise BadInput("no points to draw")
    columns = [x] if isinstance(x, str) else x
    figure, made = theme.new_figure(title, high=3.4, panels=len(columns))
    panels, data = [made] if len(columns) == 1 else made, pd.DataFrame(points).astype({hue: str})
    colours = theme.colours(list(data[hue]))
    look = {"palette": colours, "drawstyle": "steps-post", "estimator": None, "legend": False, "lw": 1.3, "alpha": 0.85}
    for axes, column in zip(panels, columns, strict=True):
        sns.lineplot(data, x=column, y=y, hue=hue, units=units, ax=axes, **look)
        axes.set(xlabel=fmt.parameter(column), ylabel=fmt.parameter(y) if axes is panels[0] else "")
    shared.legend_below(figure, [shared.dot(name, colour) for name, colour in colours.items()])
    return figure
