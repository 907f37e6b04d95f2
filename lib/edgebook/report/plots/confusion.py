"""Which class is taken for which."""

from __future__ import annotations

from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from edgebook.errors import BadInput
from edgebook.report import theme

MOST_NUMBERED = 20  # classes; with more, the cells are too small for numbers


def confusion(counts: Any, class_names: list[str] | None = None, *, title: str = "Which class is taken for which") -> Figure:
    """The confusion matrix in percent of each true class, from counts (true, predicted), `samples.confusion_counts`.

    Raises BadInput for anything that is not square.
    """
    counts = np.asarray(counts, dtype=float)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise BadInput(f"a confusion matrix is square, this has the shape {counts.shape}")
    n = len(counts)
    percent = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    texts = np.where((percent >= 0.5) & (n <= MOST_NUMBERED), np.char.mod("%.0f", percent), "")
    names = [str(name) for name in (class_names or range(n))]
    figure, axes = theme.new_figure(title, wide=min(7.0, 3.2 + 0.38 * n), high=min(6.4, 2.4 + 0.38 * n))
    sns.heatmap(
        percent,
        vmin=0,
        vmax=100,
        cmap="Blues",
        annot=texts,
        fmt="",
        annot_kws={"fontsize": 8.5},
        cbar=False,
        square=True,
        linewidths=1,
        linecolor="white",
        xticklabels=names,
        yticklabels=names,
        ax=axes,
    )
    if n * max(map(len, names)) > 40:
        axes.set_xticks(axes.get_xticks(), names, rotation=45, ha="right")
    axes.tick_params(axis="y", rotation=0)
    axes.set(xlabel="predicted (percent of the true class)", ylabel="true")
    return figure
