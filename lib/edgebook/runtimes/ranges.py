"""Where to clip activations: a range from a histogram of the values that calibration items cause."""

from __future__ import annotations

import numpy as np

from edgebook.errors import BadInput

ALGORITHMS = ("percentile", "entropy", "mse")
N_BINS = 2048


def choose(counts: np.ndarray, edges: np.ndarray, algorithm: str, *, n_levels: int = 256, percentile: float = 99.99) -> tuple:
    """(low, high), which always hold zero: what `n_levels` even steps should span. `counts` (n,), `edges` (n + 1,).

    percentile: that share of the values stays inside. mse, entropy: the clipping with the smallest squared error, or the
    smallest divergence from the histogram. Source: Migacz 2017, 8-bit inference with TensorRT; Nagel et al. 2021, 3.1.
    Raises BadInput for an unknown algorithm or an empty histogram.
    """
    if algorithm not in ALGORITHMS:
        raise BadInput(f"algorithm: {algorithm!r}; allowed: {', '.join(ALGORITHMS)}")
    if counts.sum() <= 0:
        raise BadInput("calibration: the histogram is empty; at least 1 item is needed")
    seen = np.flatnonzero(counts)  # some tools give symmetric edges, half of them empty behind a ReLU
    counts, edges = counts[seen[0] : seen[-1] + 1], edges[seen[0] : seen[-1] + 2]
    low, high = min(float(edges[0]), 0.0), max(float(edges[-1]), 0.0)
    middles = (edges[:-1] + edges[1:]) / 2
    if algorithm == "percentile":
        share = np.cumsum(counts) / counts.sum()
        outside = (1 - percentile / 100) / 2
        first, last = np.searchsorted(share, outside), np.searchsorted(share, 1 - outside)
        return min(float(edges[first]), 0.0), max(float(edges[min(last + 1, len(edges) - 1)]), 0.0)
    loss = squared_error if algorithm == "mse" else divergence
    tried = [(low * keep, high * keep) for keep in np.linspace(1, 0.3, 71)]
    return min(tried, key=lambda ends: loss(counts, middles, *ends, n_levels))


def squared_error(counts: np.ndarray, middles: np.ndarray, low: float, high: float, n_levels: int) -> float:
    """Mean squared rounding and clipping error of values at `middles`."""
    scale = max(high - low, 1e-12) / (n_levels - 1)
    nearest = np.clip(np.round((middles - low) / scale), 0, n_levels - 1) * scale + low
    return float((counts * (nearest - middles) ** 2).sum() / counts.sum())


def divergence(counts: np.ndarray, middles: np.ndarray, low: float, high: float, n_levels: int) -> float:
    """KL(histogram || the same in `n_levels` steps between low and high); what is clipped counts fully as lost."""
    scale = max(high - low, 1e-12) / (n_levels - 1)
    level = np.clip(np.round((middles - low) / scale), 0, n_levels - 1).astype(int)
    inside, seen = (middles >= low) & (middles <= high), counts > 0
    total = np.bincount(level, counts * inside, n_levels)
    spread = np.bincount(level, (seen & inside).astype(float), n_levels)
    coarse = np.where(seen & inside, total[level] / np.maximum(spread[level], 1), 0)
    clipped = np.where(inside, counts, 0.0)
    clipped[np.argmax(inside)] += counts[middles < low].sum()
    clipped[len(inside) - 1 - np.argmax(inside[::-1])] += counts[middles > high].sum()
    p, q = clipped / clipped.sum(), coarse / max(coarse.sum(), 1e-12)
    both = p > 0
    return float((p[both] * np.log(p[both] / np.maximum(q[both], 1e-9))).sum())
