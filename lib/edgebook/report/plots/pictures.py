"""Small pictures of tensors and functions, for explanations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from edgebook.report import theme

if TYPE_CHECKING:  # a report is made without PyTorch, whose import takes seconds
    from torch import Tensor


def matrices(tensors: Mapping[str, Tensor], *, title: str, decimals: int = 0) -> Figure:
    """Tensors (H, W) side by side, each under its name with its numbers in the cells."""
    figure, axes = theme.new_figure(title, wide=2.3 * len(tensors), high=2.7, panels=len(tensors))
    for panel, (name, values) in zip([axes] if len(tensors) == 1 else axes, tensors.items(), strict=True):
        look = {"cbar": False, "square": True, "linewidths": 1, "xticklabels": False, "yticklabels": False}
        shown = values.float().numpy().round(decimals) + 0.0  # no -0.0
        sns.heatmap(shown, annot=True, fmt=f".{decimals}f", cmap="Blues", ax=panel, **look)
        panel.set_title(name, fontsize=9, fontweight="normal", loc="center")
    return figure


def curves(x: Tensor, lines: Mapping[str, Tensor], *, title: str, x_label: str = "", y_label: str = "") -> Figure:
    """Functions of x (n,), each a line with its name; y (n,)."""
    frame = pd.concat([pd.DataFrame({"x": x.numpy(), "y": y.numpy(), "line": name}) for name, y in lines.items()])
    figure, axes = theme.new_figure(title, wide=5.2, high=2.9)
    sns.lineplot(frame, x="x", y="y", hue="line", style="line", palette=theme.colours(list(lines)), ax=axes)
    axes.set(xlabel=x_label, ylabel=y_label)
    handles, names = axes.get_legend_handles_labels()
    axes.get_legend().remove()
    figure.legend(handles, names, loc="outside lower left", ncols=3)
    return figure
