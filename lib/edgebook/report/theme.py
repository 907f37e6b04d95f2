"""One look for every figure: colours that colour-blind readers tell apart, quiet axes, SVG with real text."""

from __future__ import annotations

import io
import math
import re
from html import escape
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

INK, SOFT, FAINT = "#1f2328", "#6a7178", "#e4e7ea"
FAMILIES = {  # Okabe and Ito's palette, then darker companions
    "baseline": INK,
    "prune": "#0072b2",
    "quantize": "#d55e00",
    "distill": "#009e73",
    "scratch": "#8c8c8c",
    "combine": "#8e4fa8",
    "search": "#c99700",
    "sparsify": "#56b4e9",
    "qat": "#a8326e",
    "codebook": "#cc79a7",
    "mixed": "#7a4a12",
    "recurrent": "#3b7d8c",
    "autotune": "#5b6f00",
}
SPARE = ("#4c5fb0", "#b07d4c", "#4cb09a", "#b04c5f")
MARKERS = {"onnx": "o", "litert": "s", "executorch": "^", "tflm": "D", "vela": "v", "torch": "X", "packed": "P"}
SANS = "system-ui,'Segoe UI',Helvetica,Arial,sans-serif"

RC = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "text.color": INK,
    "figure.facecolor": "white",
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "savefig.bbox": "tight",
    "savefig.pad_inches": 0.06,
    "axes.facecolor": "white",
    "axes.edgecolor": "#9aa1a8",
    "axes.linewidth": 0.8,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelsize": 10,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "axes.unicode_minus": True,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "legend.handletextpad": 0.4,
    "legend.columnspacing": 1.2,
    "lines.linewidth": 1.8,
    "lines.markersize": 6,
    "svg.fonttype": "none",
    "svg.hashsalt": "edgebook",
}


def style() -> None:
    """Set the look for every figure of this process; in a notebook, show figures as small SVG with alt text."""
    matplotlib.rcParams.update(RC)
    try:
        from IPython import get_ipython
    except ImportError:  # a plain script: nothing to register
        return
    shell = get_ipython()
    if shell is not None and hasattr(shell, "display_formatter"):
        formatters = shell.display_formatter.formatters
        formatters["image/png"].pop(Figure, None)
        formatters["image/svg+xml"].for_type(Figure, svg)


def new(title: str, *, wide: float = 7.0, high: float = 4.2, panels: int = 1) -> tuple[Figure, Any]:
    """A figure with its title (also its alt text) and its axes: one, or a list when there are several panels."""
    style()
    figure = Figure(figsize=(wide, high), layout="constrained")
    FigureCanvasAgg(figure)
    figure.set_label(title)
    axes = list(figure.subplots(1, panels, squeeze=False)[0])
    if panels == 1:
        axes[0].set_title(title)
    else:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return figure, axes[0] if panels == 1 else axes


def colours(names: list[str]) -> dict[str, str]:
    """A colour for each name: a family has its own, any other the next spare one."""
    spare = iter(SPARE * (1 + len(names) // len(SPARE)))
    return {name: FAMILIES.get(name) or next(spare) for name in dict.fromkeys(names)}


def series(names: list[str]) -> dict[str, str]:
    """A colour for each line of a sweep, in order, none of them the baseline's ink."""
    palette = [colour for name, colour in FAMILIES.items() if name not in ("baseline", "scratch")]
    return {name: palette[i % len(palette)] for i, name in enumerate(dict.fromkeys(names))}


def marker(runtime: str | None) -> str:
    """The marker of a runtime."""
    return MARKERS.get(runtime or "", "o")


def log_axis(axis: Any, low: float, high: float) -> None:
    """A log axis with round ticks (1, 2, 5) in plain numbers, with a little room at both ends; linear when narrow."""
    room = max((high / low) ** 0.08, 1.12)
    low, high = low / room, high * room
    set_scale, set_limits = (
        (axis.axes.set_xscale, axis.axes.set_xlim) if axis.axis_name == "x" else (axis.axes.set_yscale, axis.axes.set_ylim)
    )
    if high / low < 1.9:
        set_limits(low, high)
        axis.set_major_locator(MaxNLocator(5))
        return
    set_scale("log")
    set_limits(low, high)
    steps = (1, 2, 5) if high / low < 300 else (1,)
    if high / low < 4:
        steps = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    axis.set_major_locator(FixedLocator([s * 10.0**d for d in decades for s in steps if low <= s * 10.0**d <= high]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.10g}".replace(",", " ")))


def label_points(axes: Axes, points: list[tuple[float, float, str, str]], all_points: list[tuple[float, float]]) -> None:
    """Write each (x, y, text, colour) beside its point, where it hides no other point or label, or not at all."""
    figure = axes.figure
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # the places found below must stay
    renderer, frame = figure.canvas.get_renderer(), axes.get_window_extent()
    dots = axes.transData.transform(all_points)
    taken: list[Any] = []
    for x, y, text, colour in points:
        for dx, dy, ha, va in (
            (7, 5, "left", "bottom"),
            (7, -5, "left", "top"),
            (-7, 5, "right", "bottom"),
            (-7, -5, "right", "top"),
            (0, 10, "center", "bottom"),
            (0, -10, "center", "top"),
            (0, 20, "center", "bottom"),
            (0, -20, "center", "top"),
        ):
            note = axes.annotate(text, (x, y), (dx, dy), textcoords="offset points", ha=ha, va=va, fontsize=8.5, color=colour)
            box = note.get_window_extent(renderer).padded(2)
            inside = box.x0 >= frame.x0 - 2 and box.x1 <= figure.bbox.x1 and box.y0 >= frame.y0 and box.y1 <= frame.y1 + 6
            free = not any(box.overlaps(other) for other in taken) and not any(box.contains(*dot) for dot in dots)
            if inside and free:
                taken.append(box)
                break
            note.remove()


def svg(figure: Figure) -> str:
    """The figure as SVG text: a `<title>` for screen readers, text in the reader's own font, nothing to load."""
    with matplotlib.rc_context(RC):
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = re.sub(r"<metadata>.*?</metadata>|<\?xml[^>]*>|<!DOCTYPE[^>]*>", "", buffer.getvalue(), flags=re.DOTALL)
    text = re.sub(r"'DejaVu Sans'[^;\"]*", SANS, text)
    title = escape(figure.get_label() or "figure")
    return re.sub(r"(<svg[^>]*>)", lambda found: f"{found[1]}<title>{title}</title>", text, count=1).strip()


def inline_svg(figure: Figure, number: int) -> str:
    """The same for inside an HTML page: its own ids, scaled to its place, labelled."""
    text = svg(figure)
    head, _, rest = text.partition(">")
    head = re.sub(r'\s(?:xmlns(?::\w+)?|version|width|height)="[^"]*"', "", head)
    rest = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>f{number}-", rest)
    label = escape(figure.get_label() or "figure", quote=True)
    return f'{head} role="img" aria-label="{label}">{rest}'
