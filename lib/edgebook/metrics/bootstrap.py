"""Bootstrap intervals of scores that are functions of sums over items, such as means, or ratios of sums."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from edgebook.metrics.intervals import t_quantile

N_DRAWS = 2000
CHUNK = 2_000_000  # resampled items held in memory at a time


def bca_interval(
    items: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    *,
    n_draws: int = N_DRAWS,
    seed: int = 0,
    confidence: float = 0.95,
) -> tuple[float, float, float]:
    """(value, lo, hi) of `statistic` by the bias-corrected and accelerated bootstrap over items, repeatable by its seed.

    items: (n, k), n >= 2, the numbers whose sums the statistic needs. statistic: sums (..., k) -> values (...), unchanged when
    all sums are multiplied by the same number; for a mean, a column of ones beside the values counts the items.

    The tails are those of Student's t instead of the normal distribution: with few items the plain bootstrap is too narrow.
    Values that no resampling changes give an empty interval. `scipy.stats.bootstrap` computes the same plain interval, but
    needs n^2 numbers for the acceleration; sums need n.
    Source: Efron 1987, JASA 82:171; for the tails Hesterberg 2015, The American Statistician 69:371, section 5.1.
    """
    items = np.asarray(items, np.float64)
    if items.ndim != 2 or len(items) < 2:
        raise ValueError(f"items of shape {items.shape}: need (n, k) with n >= 2")
    n, total = len(items), items.sum(0)
    value, draws = float(statistic(total)), statistic(_resampled_sums(items, n_draws, seed))
    if np.ptp(draws) == 0:
        return value, value, value
    share_below = (np.mean(draws < value) + np.mean(draws <= value)) / 2
    bias = _normal_quantile(min(max(share_below, 1 / n_draws), 1 - 1 / n_draws))
    acceleration = _acceleration(statistic(total - items))
    reach = t_quantile(n - 1, confidence) * math.sqrt(n / (n - 1))
    shares = [_share(bias, acceleration, end) for end in (-reach, reach)]
    lo, hi = np.quantile(draws, shares)
    return value, float(lo), float(hi)


def _resampled_sums(items: np.ndarray, n_draws: int, seed: int) -> np.ndarray:
    """Sums (n_draws, k) over n items that are drawn with replacement."""
    generator, n = np.random.default_rng(seed), len(items)
    per_chunk = max(1, CHUNK // n)
    sums = []
    for start in range(0, n_draws, per_chunk):
        count = min(per_chunk, n_draws - start)
        cells = generator.integers(0, n, (count, n)) + n * np.arange(count)[:, None]
        times_drawn = np.bincount(cells.ravel(), minlength=count * n).reshape(count, n)
        sums.append(times_drawn @ items)
    return np.concatenate(sums)


def _acceleration(without_item: np.ndarray) -> float:
    """A sixth of the skewness of the jackknife values, (n,); 0 when they are all equal."""
    pulls = without_item.mean() - without_item
    energy = float((pulls**2).sum())
    return float((pulls**3).sum()) / (6 * energy**1.5) if energy > 0 else 0.0


def _share(bias: float, acceleration: float, end: float) -> float:
    """The quantile of the draws that stands for `end`, in standard deviations."""
    shifted = bias + end
    return _normal_share(bias + shifted / (1 - acceleration * shifted))


def _normal_quantile(share: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(share))


def _normal_share(z: float) -> float:
    from scipy.special import ndtr

    return float(ndtr(z))
