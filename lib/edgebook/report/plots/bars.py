"""One figure of several versions, side by side."""

from __future__ import annotations

import textwrap
from collections import Counter

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from edgebook.report import format as fmt
from edgebook.report import theme
from edgebook.report.aggregate import value
from edgebook.report.plots import axes as shared
from edgebook.rows import Row

WIDTH = 0.8  # of all bars at one place


def bars(rows: list[Row], y: str = "score", x: str = "precision", hue: str = "runtime", *, title: str = "") -> Figure:
    """`y` with its interval for each `x`, side by side, colour by `hue`. Every row has a mark of its own: where several share a
    place, the places are named for their versions.

    A score is a dot, for a bar that does not start at zero would mislead; everything else is a bar from zero.
    Raises BadInput when no row has `y` and `x`.
    """
    points = shared.need(rows, y, x)
    factor, places = shared.scale(y, points), _places(points, x, hue)
    data = pd.DataFrame(
        {
            "x": places,
            "y": [value(row, y) * factor for row in points],
            "hue": [str(value(row, hue)) for row in points],
        }
    )
    colours = theme.colours(list(data["hue"]))
    figure, axes = theme.new_figure(title or f"{shared.heading(y, points)} by {fmt.parameter(x)}")
    step, names = WIDTH / len(colours), list(dict.fromkeys(places))
    common = {"x": "x", "y": "y", "hue": "hue", "palette": colours, "errorbar": None, "legend": False, "ax": axes}
    if y in shared.SCORES:
        markers = [theme.marker(name) for name in colours]
        look = {"linestyle": "none", "markersize": 8, "markeredgecolor": "white", "markeredgewidth": 0.8, "dodge": WIDTH - step}
        sns.pointplot(data, markers=markers, **look, **common)
    else:
        sns.barplot(data, width=WIDTH, gap=0.14, saturation=1, **common)
    for place, shade, row in zip(places, data["hue"], points, strict=True):
        at = names.index(place) - WIDTH / 2 + (list(colours).index(shade) + 0.5) * step
        shared.interval_bar(axes, at, row, y, factor, color=theme.INK, alpha=0.75, zorder=3)
    axes.set_xticks(range(len(names)), [textwrap.fill(name, max(8, 72 // len(names))) for name in names])
    axes.set(xlim=(-0.6, len(names) - 0.4), xlabel="", ylabel=shared.title(y, points))
    axes.grid(visible=False, axis="x")
    if len(colours) > 1:
        shared.legend_below(figure, [shared.dot(name, colours[name], theme.marker(name)) for name in colours], columns=5)
    return figure


def _places(points: list[Row], x: str, hue: str) -> list[str]:
    """Where each row stands: at its `x`; at its version's name too where others would stand in the same place."""
    for key in ((lambda row: ""), fmt.name, (lambda row: f"{fmt.name(row)} {row['row_id']}")):
        places = [" ".join(dict.fromkeys(filter(None, (str(value(row, x)), key(row))))) for row in points]
        shared_places = Counter((place, value(row, hue)) for place, row in zip(places, points, strict=True))
        if max(shared_places.values()) == 1:
            break
    return places
