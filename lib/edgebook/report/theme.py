"""One theme for every figure: colours that colour-blind readers tell apart, quiet axes, SVG with real text."""

from __future__ import annotations

import io
import re
from html import escape
from typing import Any

import matplotlib
import seaborn as sns
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from edgebook.vocabulary import FAMILIES, MARKERS, Family

INK, SOFT, FAINT = "#1f2328", "#6a7178", "#e4e7ea"
SERIES = tuple(  # of lines and bars without a family: neighbours differ in hue and in lightness
    FAMILIES[name].colour
    for name in ("prune", "quantize", "distill", "combine", "search", "sparsify", "qat", "codebook", "mixed", "hidden_units")
)
SANS = "system-ui,'Segoe UI',Helvetica,Arial,sans-serif"

RC = {
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "text.color": INK,
    "savefig.dpi": 200,
    "savefig.bbox": "tight",
    "savefig.pad_inches": 0.06,
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
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "legend.handletextpad": 0.4,
    "legend.columnspacing": 1.2,
    "lines.linewidth": 1.8,
    "lines.markersize": 6,
    "svg.fonttype": "none",
    "svg.hashsalt": "edgebook",
}


def use_theme() -> None:
    """Set the theme for every figure of this process; in a notebook, show figures as small SVG with alt text."""
    sns.set_theme(style="whitegrid", palette=SERIES, rc=RC)
    try:
        from IPython import get_ipython
    except ImportError:  # a plain script: nothing to register
        return
    if shell := get_ipython():
        formatters = shell.display_formatter.formatters
        formatters["image/png"].pop(Figure, None)
        formatters["image/svg+xml"].for_type(Figure, svg)


def new_figure(title: str, *, wide: float = 7.0, high: float = 4.2, panels: int = 1, columns: int = 0) -> tuple[Figure, Any]:
    """A figure with its title (also its alt text) and its axes: one, or a list when there are several panels, in rows of so many
    columns; 0: one row.
    """
    use_theme()
    figure = Figure(figsize=(wide, high), layout="constrained")
    FigureCanvasAgg(figure)
    figure.set_label(title)
    n_columns = min(columns or panels, panels)
    axes = list(figure.subplots(-(-panels // n_columns), n_columns, squeeze=False).flat)
    for unused in axes[panels:]:
        unused.remove()
    axes = axes[:panels]
    if panels == 1:
        axes[0].set_title(title)
    else:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return figure, axes[0] if panels == 1 else axes


def family(name: str | None) -> Family:
    """Label and colour of a family; a name that the vocabulary lacks is its own label, in grey."""
    return FAMILIES.get(name or "") or Family(name or "other", FAMILIES["scratch"].colour)


def colours(names: list[str]) -> dict[str, str]:
    """A colour for each name of a series, in order of appearance, none of them the baseline's."""
    return {name: SERIES[number % len(SERIES)] for number, name in enumerate(dict.fromkeys(names))}


def marker(runtime: str | None) -> str:
    """The marker of a runtime."""
    return MARKERS.get(runtime or "", "o")


def svg(figure: Figure) -> str:
    """The figure as SVG text: a `<title>` for screen readers, text in the reader's own font, nothing to load."""
    buffer = io.StringIO()
    with matplotlib.rc_context(RC):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = re.sub(r"<metadata>.*?</metadata>|<\?xml[^>]*>|<!DOCTYPE[^>]*>", "", buffer.getvalue(), flags=re.DOTALL)
    text = re.sub(r"'DejaVu Sans'[^;\"]*", SANS, text)
    title = escape(figure.get_label() or "figure")
    return re.sub(r"(<svg[^>]*>)", lambda match: f"{match[1]}<title>{title}</title>", text, count=1).strip()


def inline_svg(figure: Figure, name: str) -> str:
    """The same for inside an HTML page: its own ids (they start with `name`), scaled to its place, labelled."""
    head, _, rest = svg(figure).partition(">")
    head = re.sub(r'\s(?:xmlns(?::\w+)?|version|width|height)="[^"]*"', "", head)
    rest = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>f{name}-", rest)
    label = escape(figure.get_label() or "figure", quote=True)
    return f'{head} role="img" aria-label="{label}">{rest}'
