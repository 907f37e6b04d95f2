"""How much of each board the files take."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from edgebook.devices import Device, fit
from edgebook.errors import BadInput
from edgebook.report import theme
from edgebook.report.plots import axes as shared
from edgebook.rows import Row


def boards(rows: list[Row], devices: dict[str, Device], *, title: str = "How much of each board the files take") -> Figure:
    """A dot for each file that can run on a board, at the larger of its shares of flash and RAM; right of the line it does not
    fit. Filled: RAM is the tighter one; hollow: flash. Raises BadInput when no file can run on any board.
    """
    data = pd.DataFrame([point for name, device in devices.items() for row in rows if (point := _point(name, device, row))])
    if data.empty:
        raise BadInput("no file of these rows can run on any of the devices")
    names = list(dict.fromkeys(data["board"]))
    colours = theme.colours(list(data["precision"]))
    markers = {name: theme.marker(name) for name in data["runtime"]}
    figure, axes = theme.new_figure(title, high=1.4 + 0.42 * len(names))
    data["place"] = data["board"].map(names.index)
    look = {"palette": colours, "markers": markers, "hue": "precision", "style": "runtime", "legend": False, "s": 46}
    for tight, part in data.groupby("tight"):
        sns.scatterplot(part, x="percent", y="place", alpha=0.85, linewidth=1.3, ax=axes, **look)
        dots = axes.collections[-1]
        dots.set_edgecolors(dots.get_facecolors())
        if tight == "flash_bytes":
            dots.set_facecolors("none")
    axes.axvline(100, color=theme.INK, lw=1.1, ls=(0, (5, 3)))
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    shared.log_axis(axes.xaxis, min(data["percent"].min(), 1), max(data["percent"].max(), 120))
    axes.set(xlabel="the larger share, of flash (hollow) or of RAM (filled), %", ylabel="")
    handles = [shared.dot(name, colour) for name, colour in colours.items()]
    handles += [shared.dot(name, theme.SOFT, marker) for name, marker in markers.items()]
    shared.legend_below(figure, handles, columns=5)
    return figure


def _point(name: str, device: Device, row: Row) -> dict[str, object] | None:
    """Where a file stands on a board's line; None where it does not run there or a figure is missing."""
    result = fit(row, device)
    if result["fits"] is None:
        return None
    tight = max(result["shares"], key=result["shares"].get)
    point = {"board": name, "tight": tight, "percent": 100 * result["shares"][tight]}
    return point | {"runtime": row["runtime"], "precision": row["precision"] or "not known"}
