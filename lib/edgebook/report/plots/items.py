"""What some items of a data set look like."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from edgebook.report import theme

ACROSS = 4


def items(x: np.ndarray, titles: list[str], *, masks: np.ndarray | None = None, title: str = "Some items") -> Figure:
    """One small panel per item: an image (C, H, W), or lines over the last dimension of (C, T) or (n,).

    Images of 1 or 3 channels in their own range; of other channels the first. masks: classes of pixels (n, H, W), laid over
    the image.
    """
    theme.use_theme()
    down = -(-len(x) // ACROSS)
    figure = Figure(figsize=(2.0 * ACROSS, 1.9 * down + 0.4), layout="constrained")
    figure.set_label(title)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    panels = figure.subplots(down, ACROSS, squeeze=False).ravel()
    for number, panel in enumerate(panels):
        panel.set_axis_off()
        if number >= len(x):
            continue
        panel.set_title(titles[number], fontsize=8.5, fontweight="normal", pad=3)
        if x.ndim == 4:
            panel.imshow(_shown(x[number]), cmap="gray" if x.shape[1] != 3 else None, aspect="auto", interpolation="nearest")
            if masks is not None:
                panel.imshow(masks[number], cmap="tab10", vmin=0, vmax=9, alpha=0.4, aspect="auto", interpolation="nearest")
        else:
            panel.plot(np.atleast_2d(x[number]).T, linewidth=1)
    return figure


def _shown(image: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, 3) in 0..1."""
    low, high = float(image.min()), float(image.max())
    scaled = (image - low) / (high - low if high > low else 1.0)
    return np.moveaxis(scaled, 0, 2) if len(image) == 3 else scaled[0]
