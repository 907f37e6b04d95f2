"""Calibration: which items, and where to clip activations, by a histogram of the values that these items cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgebook.errors import BadInput
from edgebook.runtimes.base import Quant

if TYPE_CHECKING:
    from edgebook.tasks.task import Task

ALGORITHMS = ("percentile", "entropy", "mse")
N_BINS = 2048


def calibration_items(task: Task, quant: Quant) -> np.ndarray:
    """`quant.n_calibration` training items (n, ...), drawn by `quant.seed`: never validation, never test items.

    Raises BadInput for less than one item.
    """
    from edgebook.tasks.task import draw_items

    if quant.n_calibration < 1:
        raise BadInput(f"n_calibration = {quant.n_calibration}; allowed: 1 or more")
    return task.x_train[draw_items(len(task.x_train), quant.n_calibration, quant.seed)].numpy()


def choose_range(
    counts: np.ndarray, edges: np.ndarray, algorithm: str, *, n_levels: int = 256, percentile: float = 99.99
) -> tuple[float, float]:
    """(low, high), which always include zero: what `n_levels` even steps should span. `counts` (n,), `edges` (n + 1,).

    percentile: that share of the values stays inside. mse, entropy: the clipping with the smallest squared error, or the
    smallest divergence from the histogram. Source: Migacz 2017, 8-bit inference with TensorRT; Nagel et al. 2021, 3.1.
    Raises BadInput for an unknown algorithm or an empty histogram.
    """
    if algorithm not in ALGORITHMS:
        raise BadInput(f"algorithm: {algorithm!r}; allowed: {', '.join(ALGORITHMS)}")
    if counts.sum() <= 0:
        raise BadInput("calibration: the histogram is empty; at least 1 item is needed")
    filled = np.flatnonzero(counts)  # some tools give symmetric edges, half of them empty behind a ReLU
    counts, edges = counts[filled[0] : filled[-1] + 1], edges[filled[0] : filled[-1] + 2]
    low, high = min(float(edges[0]), 0.0), max(float(edges[-1]), 0.0)
    middles = (edges[:-1] + edges[1:]) / 2
    if algorithm == "percentile":
        share = np.cumsum(counts) / counts.sum()
        outside = (1 - percentile / 100) / 2
        first, last = np.searchsorted(share, outside), np.searchsorted(share, 1 - outside)
        return min(float(edges[first]), 0.0), max(float(edges[min(last + 1, len(edges) - 1)]), 0.0)
    loss = squared_error if algorithm == "mse" else divergence
    candidates = [(low * share, high * share) for share in np.linspace(1, 0.3, 71)]
    return min(candidates, key=lambda ends: loss(counts, middles, *ends, n_levels))


def squared_error(counts: np.ndarray, middles: np.ndarray, low: float, high: float, n_levels: int) -> float:
    """Mean squared rounding and clipping error of values at `middles`."""
    scale = max(high - low, 1e-12) / (n_levels - 1)
    nearest = np.clip(np.round((middles - low) / scale), 0, n_levels - 1) * scale + low
    return float((counts * (nearest - middles) ** 2).sum() / counts.sum())


def divergence(counts: np.ndarray, middles: np.ndarray, low: float, high: float, n_levels: int) -> float:
    """KL divergence of the histogram from its `n_levels` steps between low and high; clipped values count as lost."""
    scale = max(high - low, 1e-12) / (n_levels - 1)
    level = np.clip(np.round((middles - low) / scale), 0, n_levels - 1).astype(int)
    inside, filled = (middles >= low) & (middles <= high), counts > 0
    total = np.bincount(level, counts * inside, n_levels)
    spread = np.bincount(level, (filled & inside).astype(float), n_levels)
    coarse = np.where(filled & inside, total[level] / np.maximum(spread[level], 1), 0)
    clipped = np.where(inside, counts, 0.0)
    clipped[np.argmax(inside)] += counts[middles < low].sum()
    clipped[len(inside) - 1 - np.argmax(inside[::-1])] += counts[middles > high].sum()
    p, q = clipped / clipped.sum(), coarse / max(coarse.sum(), 1e-12)
    both = p > 0
    return float((p[both] * np.log(p[both] / np.maximum(q[both], 1e-9))).sum())
