"""The bootstrap against scipy's, its invariances, and how often it holds the truth."""

import numpy as np
import pytest
from scipy import stats as reference

from edgebook.metrics.bootstrap import bca_interval


def counted(values: np.ndarray) -> np.ndarray:
    return np.stack([values, np.ones_like(values)], 1)


def mean(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / sums[..., 1]


@pytest.mark.parametrize("seed", range(3))
def test_it_is_that_of_scipy_where_items_are_many(seed):
    x = np.random.default_rng(seed).lognormal(0, 0.7, 400)
    value, lo, hi = bca_interval(counted(x), mean, n_draws=20_000)
    expected = reference.bootstrap((x,), np.mean, method="BCa", n_resamples=20_000, rng=seed).confidence_interval
    width = expected.high - expected.low
    assert value == pytest.approx(x.mean())
    assert (lo, hi) == pytest.approx((expected.low, expected.high), abs=0.03 * width)


def test_ratios_of_sums_are_those_of_scipy():
    random = np.random.default_rng(3)
    whole = random.integers(1, 40, 300).astype(float)
    part = random.binomial(whole.astype(int), 0.7).astype(float)

    def ratio(a, b, axis=-1):
        return a.sum(axis) / b.sum(axis)

    expected = reference.bootstrap(
        (part, whole), ratio, paired=True, vectorized=True, method="BCa", n_resamples=20_000, rng=0
    ).confidence_interval
    value, lo, hi = bca_interval(np.stack([part, whole], 1), mean, n_draws=20_000)
    assert value == pytest.approx(part.sum() / whole.sum())
    assert (lo, hi) == pytest.approx((expected.low, expected.high), abs=0.03 * (expected.high - expected.low))


def test_few_items_have_wider_tails_than_the_plain_bootstrap():
    x = np.random.default_rng(4).normal(size=8)
    _, lo, hi = bca_interval(counted(x), mean, n_draws=20_000)
    plain = reference.bootstrap((x,), np.mean, method="BCa", n_resamples=20_000, rng=0).confidence_interval
    student = reference.ttest_1samp(x, 0).confidence_interval()
    assert hi - lo > 1.15 * (plain.high - plain.low)
    assert hi - lo == pytest.approx(student.high - student.low, rel=0.2)


def test_it_repeats_shifts_scales_and_does_not_depend_on_chunks(monkeypatch):
    x = np.random.default_rng(5).exponential(size=60)
    first = np.array(bca_interval(counted(x), mean))
    assert np.array_equal(first, bca_interval(counted(x), mean))
    assert not np.array_equal(first, bca_interval(counted(x), mean, seed=1))
    assert bca_interval(counted(3 * x + 2), mean) == pytest.approx(3 * first + 2)
    monkeypatch.setattr("edgebook.metrics.bootstrap.CHUNK", 60)
    assert bca_interval(counted(x), mean) == pytest.approx(first, rel=1e-12)


def test_equal_items_leave_no_doubt_and_one_item_is_refused():
    assert bca_interval(counted(np.full(10, 0.25)), mean) == (0.25, 0.25, 0.25)
    with pytest.raises(ValueError, match=r"shape \(1, 2\): need \(n, k\) with n >= 2"):
        bca_interval(counted(np.ones(1)), mean)


@pytest.mark.parametrize(("n", "least"), [(20, 0.88), (90, 0.915)])
def test_it_holds_the_mean_of_skewed_items(n, least):
    random = np.random.default_rng(6)
    ends = [bca_interval(counted(random.exponential(size=n)), mean, n_draws=800)[1:] for _ in range(500)]
    held = np.mean([lo <= 1 <= hi for lo, hi in ends])
    assert least <= held <= 0.98
