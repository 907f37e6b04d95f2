"""What figures share: which rows have a figure, its unit and title, intervals, log axes, labels beside points, legends."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from edgebook.errors import BadInput
from edgebook.report import format as fmt
from edgebook.report import theme
from edgebook.report.aggregate import ENDS, merge, ok, value
from edgebook.rows import Row

SCORES = ("score", "val_score")
SHARES = {"fidelity": "same predictions as its PyTorch model", "agreement": "same predictions as the float baseline"}
UNITS = {  # column: what it is multiplied with, its title
    "size_bytes": (1e-3, "size, kB"),
    "latency_ms_p50": (1.0, "latency, ms (median)"),
    "speedup": (1.0, "speed-up, ×"),
    "compression_ratio": (1.0, "times smaller"),
    "latency_ms_est": (1.0, "estimated latency, ms"),
    "macs": (1e-6, "million MACs"),
    "n_params": (1e-3, "thousand parameters"),
    "arena_bytes": (1e-3, "working memory, kB"),
    "rss_bytes": (1e-6, "peak memory, MB"),
}
PLACES = (  # of a label beside its point: shift in points, alignment
    *((7, 5, "left", "bottom"), (7, -5, "left", "top"), (-7, 5, "right", "bottom"), (-7, -5, "right", "top")),
    *((0, 10, "center", "bottom"), (0, -10, "center", "top"), (0, 20, "center", "bottom"), (0, -20, "center", "top")),
)


def need(rows: list[Row], *keys: str) -> list[Row]:
    """The rows, seeds merged, that have all of `keys`. Raises BadInput when none has."""
    complete = [row for row in merge(ok(rows)) if all(value(row, key) is not None for key in keys)]
    if not complete:
        raise BadInput(f"no row with status ok has {' and '.join(keys)}: nothing to draw")
    return complete


def metric_of(rows: list[Row]) -> str | None:
    """Name of the rows' metric. Raises BadInput for several: their scores have no axis in common."""
    names = list(dict.fromkeys(row["metric"] for row in rows if row["metric"]))
    if len(names) > 1:
        raise BadInput(f"rows with the metrics {', '.join(names)}: one figure shows one metric")
    return names[0] if names else None


def scale(key: str, rows: list[Row]) -> float:
    """What a figure is multiplied with to be in the unit of its axis."""
    if key in (*SCORES, "delta"):
        return fmt.metric(metric_of(rows)).scale
    return 100.0 if key in SHARES else UNITS.get(key, (1.0, ""))[0]


def title(key: str, rows: list[Row]) -> str:
    """The axis title with its unit."""
    if key in (*SCORES, "delta"):
        shown = fmt.metric(metric_of(rows))
        unit = shown.difference_unit if key == "delta" else shown.unit
        text = {"score": f"test {shown.label}", "val_score": f"validation {shown.label}"}.get(key, f"{shown.label} − baseline's")
        return fmt.with_unit(text, unit)
    return f"{SHARES[key]}, %" if key in SHARES else UNITS.get(key, (1.0, fmt.parameter(key)))[1]


def heading(key: str, rows: list[Row]) -> str:
    """The axis title without its unit, for the title of a figure."""
    text = title(key, rows).partition(",")[0].partition(" (")[0]
    return text[:1].upper() + text[1:]


def interval_bar(axes: Axes, at: float, row: Row, key: str, factor: float, **look: Any) -> None:
    """The row's own interval of `key` as an error bar at `at`; nothing where it has none."""
    low, high = (row.get(end) for end in ENDS.get(key, ("", "")))
    if low is not None and high is not None:
        middle = value(row, key)
        ends = [[max(middle - low, 0) * factor], [max(high - middle, 0) * factor]]
        axes.errorbar(at, middle * factor, yerr=ends, elinewidth=1, **look)


def log_axis(axis: Any, low: float, high: float) -> None:
    """A log axis with round ticks (1, 2, 5) in plain numbers, with a little room at both ends; linear when narrow."""
    room = max((high / low) ** 0.08, 1.12)
    low, high = low / room, high * room
    axes, name = axis.axes, axis.axis_name
    axes.set(**{f"{name}lim": (low, high)})
    if high / low < 1.9:
        axis.set_major_locator(MaxNLocator(5))
        return
    axes.set(**{f"{name}scale": "log"})
    axes.set(**{f"{name}lim": (low, high)})
    steps = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8) if high / low < 4 else (1, 2, 5) if high / low < 300 else (1,)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    axis.set_major_locator(FixedLocator([s * 10.0**d for d in decades for s in steps if low <= s * 10.0**d <= high]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.10g}".replace(",", " ")))


def label_points(axes: Axes, points: list[tuple[float, float, str, str]], all_points: list[tuple[float, float]]) -> None:
    """Write each (x, y, text, colour) beside its point, where it hides no other point or label, or not at all."""
    figure: Any = axes.figure
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # the places that are free now must stay so
    dots, taken = axes.transData.transform(all_points), list[Any]()
    for x, y, text, colour in points:
        for dx, dy, ha, va in PLACES:
            note = axes.annotate(text, (x, y), (dx, dy), textcoords="offset points", ha=ha, va=va, fontsize=8.5, color=colour)
            box = note.get_window_extent().padded(2)
            if _inside(box, axes) and not any(box.overlaps(other) for other in taken) and not any(box.contains(*d) for d in dots):
                taken.append(box)
                break
            note.remove()


def _inside(box: Any, axes: Axes) -> bool:
    frame = axes.get_window_extent()
    horizontal = box.x0 >= frame.x0 - 2 and box.x1 <= axes.figure.bbox.x1
    return horizontal and box.y0 >= frame.y0 and box.y1 <= frame.y1 + 6


def dot(label: str, colour: str, marker: str = "o", *, hollow: bool = False, size: float = 8) -> Line2D:
    """A legend's entry: one marker."""
    face, edge = ("none", colour) if hollow else (colour, "white")
    look = {"markerfacecolor": face, "markeredgecolor": edge, "markersize": size}
    return Line2D([], [], linestyle="", marker=marker, color=colour, label=label, **look)


def legend_below(figure: Figure, handles: list[Line2D], columns: int = 4) -> None:
    """The legend under the axes."""
    figure.legend(handles=handles, loc="outside lower left", ncols=columns, labelcolor=theme.INK)
