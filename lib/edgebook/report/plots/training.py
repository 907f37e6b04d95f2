"""Figures of one training: its curve, and which class is taken for which."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from edgebook.errors import BadInput
from edgebook.report import theme as look
from edgebook.report.theme import INK


def learning_curve(history: list[dict[str, float]], *, title: str = "Learning curve") -> Figure:
    """Training loss and validation score by epoch, from dicts with `epoch`, `loss`, `val_score`.

    What is absent is a gap. Raises BadInput for an empty history."""
    if not history:
        raise BadInput("the history is empty: nothing was trained in this execution")
    figure, (left, right) = look.new(title, high=3.0, panels=2)
    epochs = [entry.get("epoch", i + 1) for i, entry in enumerate(history)]
    shown = (
        (left, "loss", "training loss", look.FAMILIES["prune"], 1),
        (right, "val_score", "validation score, %", look.FAMILIES["quantize"], 100),
    )
    for axes, key, name, colour, scale in shown:
        figures = [np.nan if entry.get(key) is None else entry[key] * scale for entry in history]
        axes.plot(epochs, figures, color=colour, marker="o" if len(epochs) < 3 else None)
        axes.set(xlabel="epoch", ylabel=name)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    return figure


def confusion(matrix: Any, class_names: list[str] | None = None, *, title: str = "Which class is taken for which") -> Figure:
    """The confusion matrix in percent of each true class, from counts (true, predicted), `samples.confusion_counts`.

    Raises BadInput for anything that is not square."""
    counts = _counts(matrix)
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    n = len(counts)
    names = [str(name) for name in (class_names or range(n))]
    figure, axes = look.new(title, wide=min(7.0, 3.2 + 0.38 * n), high=min(6.4, 2.4 + 0.38 * n))
    axes.pcolormesh(share, cmap="Blues", vmin=0, vmax=100, edgecolors="white", linewidth=1)
    for (i, j), percent in np.ndenumerate(share):
        if percent >= 0.5 and n <= 20:
            axes.text(
                j + 0.5,
                i + 0.5,
                f"{percent:.0f}",
                ha="center",
                va="center",
                fontsize=8.5,
                color="white" if percent > 55 else INK,
            )
    tilted = n * max(map(len, names)) > 40
    axes.set_xticks(np.arange(n) + 0.5, names, rotation=45 if tilted else 0, ha="right" if tilted else "center")
    axes.set_yticks(np.arange(n) + 0.5, names)
    axes.set(xlabel="predicted (percent of the true class)", ylabel="true", aspect="equal")
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return figure


def _counts(matrix: Any) -> np.ndarray:
    """(C, C) counts as floats."""
    counts = np.asarray(matrix, dtype=float)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise BadInput(f"a confusion matrix is square, this has the shape {counts.shape}")
    return counts
