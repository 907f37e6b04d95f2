"""Intervals, paired tests, verdicts. Numbers in, numbers out; no torch, and scipy only inside the calls that need it.

`benchmarks/coverage.py` prints how often each interval here holds the truth, and how often each verdict is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

SCORE_MARGIN = 0.005  # half a point of a score in [0, 1]
SPEED_MARGIN = 0.03  # of the log-ratio of two latencies, about 3 %
SCORE_WORDS = ("worse", "same", "better")
SPEED_WORDS = ("slower", "same", "faster")
CANNOT_TELL = "cannot tell"


# Scores


def wilson(n_correct: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval (lo, hi) of a proportion, inside [0, 1]; narrow but never empty at 0 and n correct.

    Source: Wilson 1927, Probable inference; Newcombe 1998, Statistics in Medicine 17:857, method 3.
    """
    if not 0 <= n_correct <= n or n == 0:
        raise ValueError(f"n_correct={n_correct}, n={n}: need 0 <= n_correct <= n and n > 0")
    z, p = _z(confidence), n_correct / n
    centre, scale = p + z * z / (2 * n), 1 + z * z / n
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (0.0 if n_correct == 0 else (centre - half) / scale), (1.0 if n_correct == n else (centre + half) / scale)


def discordant(correct_a: np.ndarray, correct_b: np.ndarray) -> tuple[int, int, int]:
    """(items only `a` has right, items only `b` has right, items) of two boolean arrays over the same items, (n,)."""
    a, b = np.asarray(correct_a), np.asarray(correct_b)
    if a.shape != b.shape or a.ndim != 1 or a.size == 0:
        raise ValueError(f"shapes {a.shape} and {b.shape}: need two equal (n,) with n > 0, the same items in order")
    for values in (a, b):
        if values.dtype != bool and not np.isin(values, (0, 1)).all():
            raise ValueError(f"{values.dtype} values other than 0 and 1: need right or wrong for every item")
    a, b = a.astype(bool), b.astype(bool)
    return int((a & ~b).sum()), int((b & ~a).sum()), a.size


def paired_difference(correct_a: np.ndarray, correct_b: np.ndarray, confidence: float = 0.95) -> tuple[float, float, float]:
    """(delta, lo, hi): accuracy of `a` minus accuracy of `b`, two boolean arrays over the same items, (n,).

    A loss of `a` is negative, so `a` is the compressed file and `b` its baseline. Arrays that agree on every item
    give delta 0 and +-z^2 / (n + z^2) (z = 1.96: +-0.013 at n=300, +-0.0004 at n=10,000), because n items without
    one disagreement cannot rule out a small one: below n=765 that is wider than half a point, so "cannot tell".
    """
    only_a, only_b, n = discordant(correct_a, correct_b)
    lo, hi = paired_interval(only_a, only_b, n, confidence)
    return (only_a - only_b) / n, float(lo), float(hi)


def paired_interval(
    only_a: int | np.ndarray, only_b: int | np.ndarray, n: int, confidence: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """(lo, hi) of the paired difference from its counts (any shape); see `discordant`.

    Tango's score interval: it holds 0 exactly when McNemar's chi-square without correction does not reject. Wald
    undercovers when few items disagree, Agresti-Min when nearly all of them favour one side (down to 86 %), and
    Bonett-Price covers too much at n=300. Source: Tango 1998, Statistics in Medicine 17:891.
    """
    a, b = np.asarray(only_a, float), np.asarray(only_b, float)
    z = _z(confidence)
    return _tango_lower(a, b, n, z), -_tango_lower(b, a, n, z)


def _tango_lower(a: np.ndarray, b: np.ndarray, n: int, z: float) -> np.ndarray:
    """The smallest difference that the score test does not reject, by bisection between -1 and (a - b) / n."""
    inside = (a - b) / n
    outside = np.full_like(inside, -1.0)
    for _ in range(54):
        middle = (inside + outside) / 2
        linear = (2 * n - a + b) * middle - a - b
        constant = -b * middle * (1 - middle)
        root = np.sqrt(np.maximum(linear * linear - 8 * n * constant, 0))
        q = (root - linear) / (4 * n)  # likeliest P(only b right), given the difference
        variance = n * np.maximum(2 * q + middle * (1 - middle), 0)
        kept = a - b - n * middle <= z * np.sqrt(variance)
        inside, outside = np.where(kept, middle, inside), np.where(kept, outside, middle)
    return inside


def mcnemar_exact(correct_a: np.ndarray, correct_b: np.ndarray) -> float:
    """p-value, two-sided, that both are equally often right; 1.0 when they never disagree. Source: McNemar 1947."""
    from scipy.special import bdtr

    only_a, only_b, _ = discordant(correct_a, correct_b)
    return min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))


def verdict(lo: float, hi: float, margin: float = SCORE_MARGIN, words: Sequence[str] = SCORE_WORDS) -> str:
    """One of `words` (below, same, above) for the interval of a difference, or "cannot tell" (also for NaN).

    In this order: wholly inside (-margin, margin): same; lo > 0: above; hi < 0: below. "Same" comes first, so that
    a difference too small to matter is not reported, however sure.
    """
    if lo > hi or margin < 0:
        raise ValueError(f"lo={lo}, hi={hi}, margin={margin}: need lo <= hi and margin >= 0")
    if -margin < lo and hi < margin:
        return words[1]
    if lo > 0:
        return words[2]
    return words[0] if hi < 0 else CANNOT_TELL


def speed_verdict(lo: float, hi: float, margin: float = SPEED_MARGIN) -> str:
    """`verdict` for the interval of a speed-up (1 = equal), in slower, same, faster.

    The margin is on the log-ratio, 0.03 = from 0.970 to 1.030, so that swapping the two files swaps the word.
    """
    return verdict(math.log(lo), math.log(hi), margin, SPEED_WORDS)


def over_seeds(values: Sequence[float], confidence: float = 0.95) -> dict[str, float | int | None]:
    """mean, sd (n - 1 in the denominator), n, and lo, hi of Student's t interval; one seed has sd, lo, hi None.

    The interval speaks of other seeds on the same test items, not of other items.
    """
    x = np.asarray(values, float)
    if x.ndim != 1 or x.size == 0:
        raise ValueError(f"shape {x.shape}: need one number a seed, at least one")
    mean, n = float(x.mean()), x.size
    if n == 1:
        return {"mean": mean, "sd": None, "n": 1, "lo": None, "hi": None}
    sd = float(x.std(ddof=1))
    half = _t(n - 1, confidence) * sd / math.sqrt(n)
    return {"mean": mean, "sd": sd, "n": n, "lo": mean - half, "hi": mean + half}


# Latency


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
    half = _t(max(n / inflation - 1, 1.0), confidence) * math.sqrt(variance * inflation / n)
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

    Memory may lie well or badly for as long as a process lives: blocks of one process say nothing of the next one's.
    """
    if processes is None:
        return 0.0
    names, counts = np.unique(processes, return_counts=True)
    means = [float(x[processes == name].mean()) for name, count in zip(names, counts) if count >= 3]
    k = len(means)
    return _t(k - 1, confidence) * float(np.std(means, ddof=1)) / math.sqrt(k) if k >= 3 else 0.0


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


# Fronts


def pareto(points: np.ndarray, maximise: Sequence[bool]) -> np.ndarray:
    """Mask (n,) of the points (n, k) that no other beats: as good everywhere and better somewhere.

    `maximise` says for each of the k columns whether more is better. Equal points are kept or dropped together; a
    point with a NaN is never on the front and beats nothing.
    """
    points = np.asarray(points, float)
    if points.ndim != 2 or points.shape[1] != len(maximise):
        raise ValueError(f"shape {points.shape}: need (n, {len(maximise)}), a column for each of maximise={maximise}")
    gains = np.where(np.asarray(maximise, bool), points, -points)
    beaten = [((gains >= point).all(axis=1) & (gains > point).any(axis=1)).any() for point in gains]
    return ~np.array(beaten, bool) & ~np.isnan(gains).any(axis=1)


# Shared


def _z(confidence: float) -> float:
    """The two-sided normal quantile: 1.96 for 0.95."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence}: need a value between 0 and 1, such as 0.95")
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _t(degrees: float, confidence: float) -> float:
    """The two-sided Student t quantile; degrees of freedom need not be whole."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + confidence) / 2))


def _positive(blocks: np.ndarray, *, least: int) -> np.ndarray:
    """`blocks` as floats. Raises ValueError unless it is (n,), n >= least, of positive finite numbers."""
    x = np.asarray(blocks, float)
    if x.ndim != 1 or x.size < least or not (np.isfinite(x).all() and (x > 0).all()):
        raise ValueError(f"blocks of shape {x.shape}: need (n,), n >= {least}, all positive and finite")
    return x
