"""Intervals and paired tests of scores. Numbers in, numbers out; scipy only inside the calls that need it.

`benchmarks/interval_coverage.py` prints how often each interval here holds the truth, and how often each verdict is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np


def wilson(n_correct: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval (lo, hi) of a proportion, inside [0, 1]; narrow but never empty at 0 and n correct.

    Source: Wilson 1927, Probable inference; Newcombe 1998, Statistics in Medicine 17:857, method 3.
    """
    if not 0 <= n_correct <= n or n == 0:
        raise ValueError(f"n_correct={n_correct}, n={n}: need 0 <= n_correct <= n and n > 0")
    z, p = z_quantile(confidence), n_correct / n
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
    z = z_quantile(confidence)
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
        is_inside = a - b - n * middle <= z * np.sqrt(variance)
        inside, outside = np.where(is_inside, middle, inside), np.where(is_inside, outside, middle)
    return inside


def mcnemar_exact(correct_a: np.ndarray, correct_b: np.ndarray) -> float:
    """p-value, two-sided, that both are equally often right; 1.0 when they never disagree. Source: McNemar 1947."""
    from scipy.special import bdtr

    only_a, only_b, _ = discordant(correct_a, correct_b)
    return min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))


def poisson(count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact interval (lo, hi) of the mean of a count of rare events. Source: Garwood 1936, Biometrika 28:437."""
    from scipy.special import gammaincinv

    if count < 0:
        raise ValueError(f"count={count}: need 0 or more")
    tail = (1 - confidence) / 2
    return (float(gammaincinv(count, tail)) if count else 0.0), float(gammaincinv(count + 1, 1 - tail))


def over_seeds(values: Sequence[float], confidence: float = 0.95) -> dict[str, float | int | None]:
    """mean, sd (n - 1 in the denominator), n, and lo, hi of Student's t interval; one seed has sd, lo, hi None.

    The interval speaks of other seeds on the same test items, not of other items.
    """
    x = np.asarray(values, float)
    if x.ndim != 1 or x.size == 0:
        raise ValueError(f"shape {x.shape}: need one number per seed, at least one")
    mean, n = float(x.mean()), x.size
    if n == 1:
        return {"mean": mean, "sd": None, "n": 1, "lo": None, "hi": None}
    sd = float(x.std(ddof=1))
    half = t_quantile(n - 1, confidence) * sd / math.sqrt(n)
    return {"mean": mean, "sd": sd, "n": n, "lo": mean - half, "hi": mean + half}


def z_quantile(confidence: float) -> float:
    """The two-sided normal quantile: 1.96 for 0.95."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence}: need a value between 0 and 1, such as 0.95")
    return NormalDist().inv_cdf((1 + confidence) / 2)


def t_quantile(degrees: float, confidence: float) -> float:
    """The two-sided Student t quantile; degrees of freedom need not be whole."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + confidence) / 2))
