"""Latency statistics: scipy where blocks are independent, invariances, coverage with correlated blocks and outliers."""

import math

import numpy as np
import pytest
from scipy import stats as reference

from edgebook.metrics import latency as stats


def blocks_ar1(random: np.random.Generator, n: int, rho: float, noise: float = 0.03) -> np.ndarray:
    """n block latencies around a median of 1."""
    x = random.standard_normal(n)
    for t in range(1, n):
        x[t] = rho * x[t - 1] + math.sqrt(1 - rho * rho) * x[t]
    return np.exp(noise * x)


def test_bootstrap_median_is_near_that_of_scipy_for_independent_blocks():
    x = np.random.default_rng(4).lognormal(0, 0.05, 40)
    median, lo, hi = stats.bootstrap_median(x, n_boot=4000)
    expected = reference.bootstrap((x,), np.median, method="percentile", n_resamples=4000, rng=1).confidence_interval
    assert median == np.median(x)
    assert lo <= expected.low + 2e-3
    assert hi >= expected.high - 2e-3
    assert hi - lo < 1.6 * (expected.high - expected.low)


def test_bootstrap_median_repeats_and_scales():
    x = blocks_ar1(np.random.default_rng(5), 50, 0.2)
    assert stats.bootstrap_median(x, seed=7) == stats.bootstrap_median(x, seed=7)
    assert stats.bootstrap_median(x, seed=7) != stats.bootstrap_median(x, seed=8)
    assert stats.bootstrap_median(8 * x) == pytest.approx([8 * v for v in stats.bootstrap_median(x)], rel=1e-12)
    assert stats.bootstrap_median([2.0, 2.0, 2.0]) == (2.0, 2.0, 2.0)


def test_correlated_blocks_widen_both_latency_intervals():
    random = np.random.default_rng(6)
    calm, drifting = blocks_ar1(random, 40, 0.0), blocks_ar1(random, 40, 0.9)
    shuffled = random.permutation(drifting)
    one = np.ones(40)

    def width(interval):
        return interval[2] - interval[1]

    assert width(stats.bootstrap_median(drifting)) > 1.5 * width(stats.bootstrap_median(shuffled))
    assert width(stats.paired_ratio(one, drifting)) > 1.5 * width(stats.paired_ratio(one, shuffled))
    plain = reference.ttest_1samp(np.log(calm), 0).confidence_interval()
    assert width(stats.paired_ratio(one, calm)) < 1.4 * (plain.high - plain.low)


@pytest.mark.parametrize("process_noise", [0.005, 0.02])
def test_both_latency_intervals_hold_the_truth_when_processes_differ(process_noise):
    """Four processes of 12 blocks, each as slow as it happens to be."""
    random, process = np.random.default_rng(8), np.repeat(np.arange(4), 12)
    held = {"known": 0, "unknown": 0, "median": 0}
    for _ in range(400):
        mine, base = (np.exp(random.normal(0, process_noise, 4))[process] * blocks_ar1(random, 48, 0.0, 0.004) for _ in "ab")
        for name, given in (("known", process), ("unknown", None)):
            _, lo, hi = stats.paired_ratio(base, mine, processes=given)
            held[name] += lo <= 1 <= hi
        _, lo, hi = stats.bootstrap_median(mine, n_boot=200, processes=process)
        held["median"] += lo <= 1 <= hi
    assert held["known"] >= 0.93 * 400
    assert held["median"] >= 0.90 * 400
    assert held["unknown"] < held["known"]


def test_paired_ratio_is_base_over_this_and_inverts_when_swapped():
    base, this = np.array([2.0, 4.0, 3.0, 2.4]), np.array([1.0, 2.0, 1.5, 1.2])
    assert stats.paired_ratio(base, this) == pytest.approx((2, 2, 2))
    random = np.random.default_rng(7)
    a, b = blocks_ar1(random, 20, 0.3), 0.7 * blocks_ar1(random, 20, 0.3)
    ratio, lo, hi = stats.paired_ratio(a, b)
    assert lo < ratio < hi
    assert ratio == pytest.approx(1 / 0.7, rel=0.05)
    assert stats.paired_ratio(b, a) == pytest.approx((1 / ratio, 1 / hi, 1 / lo), rel=1e-12)
    assert stats.paired_ratio(a, a) == (1, 1, 1)


def test_paired_ratio_cancels_a_drift_that_hits_both():
    random = np.random.default_rng(8)
    a, b, drift = blocks_ar1(random, 20, 0.0), blocks_ar1(random, 20, 0.0), np.linspace(1, 3, 20)
    assert stats.paired_ratio(a * drift, b * drift) == pytest.approx(stats.paired_ratio(a, b), rel=1e-12)


def test_one_interrupted_round_hardly_moves_the_ratio():
    random = np.random.default_rng(9)
    a, b = blocks_ar1(random, 20, 0.0), blocks_ar1(random, 20, 0.0)
    _, lo, hi = stats.paired_ratio(a, b)
    hit = b.copy()
    hit[5] *= 50
    assert lo < stats.paired_ratio(a, hit)[0] < hi


@pytest.mark.parametrize(("base", "this"), [([1, 2], [1, 2]), ([1, 2, 0], [1, 2, 3]), ([1, 2, 3], [1, 2, math.nan])])
def test_paired_ratio_refuses_what_is_no_latency(base, this):
    with pytest.raises(ValueError, match="n >= 3, all positive and finite"):
        stats.paired_ratio(base, this)


def test_paired_ratio_refuses_different_rounds():
    with pytest.raises(ValueError, match="3 and 4 blocks"):
        stats.paired_ratio(np.ones(3), np.ones(4))


@pytest.mark.parametrize(("n", "rho", "least"), [(10, 0.0, 0.95), (10, 0.5, 0.912), (20, 0.5, 0.905), (50, 0.5, 0.91)])
def test_paired_ratio_holds_the_truth_with_outliers(n, rho, least):
    random = np.random.default_rng(10)
    held = 0
    for _ in range(4000):
        a, b = (blocks_ar1(random, n, rho) * np.where(random.random(n) < 0.02, 1.6, 1) for _ in range(2))
        _, lo, hi = stats.paired_ratio(1.25 * a, b)
        held += lo <= 1.25 <= hi
    assert least <= held / 4000 <= 0.98


def test_unstable_is_said_of_a_noisy_machine_only():
    assert stats.relative_spread(np.array([1.0, 2.0, 3.0, 4.0, 5.0])) == pytest.approx(2 / 3)
    quiet = blocks_ar1(np.random.default_rng(11), 30, 0.3)
    assert not stats.unstable(quiet)
    assert not stats.unstable(np.append(quiet, 40.0))  # one interruption
    assert stats.unstable(np.where(np.arange(30) % 2, 1.5, 1.0) * quiet)  # two clock speeds
    assert stats.unstable(quiet, limit=0.01)
