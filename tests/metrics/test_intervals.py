"""Intervals of accuracy against scipy, statsmodels and published figures; invariances; coverage of the truth."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize
from scipy import stats as reference
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from edgebook.metrics import intervals as stats
from edgebook.metrics.verdicts import verdict

counts = st.integers(0, 2000)


def answers(both: int, only_a: int, only_b: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Two boolean arrays with these counts."""
    counts = (both, only_a, only_b, neither)
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


def random_answers(n: int, seed: int, accuracy: float = 0.9, changed: float = 0.08) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    a = random.random(n) < accuracy
    return a, a ^ (random.random(n) < changed)


# Wilson


@pytest.mark.parametrize(("n_correct", "n"), [(0, 10), (10, 10), (1, 300), (276, 300), (9234, 10_000), (1, 1)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_wilson_is_that_of_scipy_and_statsmodels(n_correct, n, confidence):
    ours = stats.wilson(n_correct, n, confidence)
    theirs = reference.binomtest(n_correct, n).proportion_ci(confidence, method="wilson")
    assert ours == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert ours == pytest.approx(proportion_confint(n_correct, n, 1 - confidence, "wilson"), abs=1e-12)
    assert 0 <= ours[0] <= n_correct / n <= ours[1] <= 1
    assert ours[0] < ours[1]


@pytest.mark.parametrize(("n_correct", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_impossible_counts(n_correct, n):
    with pytest.raises(ValueError, match=f"n_correct={n_correct}, n={n}"):
        stats.wilson(n_correct, n)


# Paired difference


@pytest.mark.parametrize(
    ("only_a", "only_b", "n", "confidence", "expected"),
    [
        (1, 7, 21, 0.95, (-0.517, -0.026)),  # airway hyper-responsiveness, Fagerland, Lydersen and Laake 2014
        (28, 25, 618, 0.90, (-0.0148, 0.0247)),  # R's PropCIs::scoreci.mp(25, 28, 618), which subtracts the other way
    ],
)
def test_paired_interval_is_the_published_one(only_a, only_b, n, confidence, expected):
    lo, hi = stats.paired_interval(only_a, only_b, n, confidence)
    digits = 3 if n == 21 else 4
    assert (round(float(lo), digits), round(float(hi), digits)) == expected


@pytest.mark.parametrize(("only_a", "only_b", "n"), [(12, 2, 50), (3, 0, 300), (40, 65, 1000), (250, 400, 10_000)])
def test_paired_interval_ends_where_the_likelihood_says_so(only_a, only_b, n):
    """At both ends the score statistic, with the nuisance found by maximising the likelihood, is 1.96."""

    def unlikelihood(q, difference):
        p, rest = q + difference, 1 - 2 * q - difference
        return -(reference.multinomial.logpmf([only_a, only_b, n - only_a - only_b], n, [p, q, rest]))

    for end in stats.paired_interval(only_a, only_b, n):
        room = (max(0.0, -end) + 1e-12, (1 - end) / 2 - 1e-12)
        likeliest = optimize.minimize_scalar(unlikelihood, bounds=room, args=(end,), options={"xatol": 1e-12})
        q = likeliest.x
        variance = (2 * q + end - end * end) / n
        assert abs((only_a - only_b) / n - end) / math.sqrt(variance) == pytest.approx(1.95996, rel=1e-3)


def test_paired_difference_by_hand():
    delta, lo, hi = stats.paired_difference(*answers(80, 4, 10, 6))
    assert delta == pytest.approx(-0.06)
    assert lo < delta < hi


@pytest.mark.parametrize("seed", range(5))
def test_swapping_sides_negates_the_difference(seed):
    a, b = random_answers(500, seed)
    delta, lo, hi = stats.paired_difference(a, b)
    assert stats.paired_difference(b, a) == (-delta, -hi, -lo)
    assert stats.mcnemar_exact(a, b) == stats.mcnemar_exact(b, a)


def test_order_of_items_and_number_type_change_nothing():
    a, b = random_answers(400, 1)
    order = np.random.default_rng(2).permutation(400)
    assert stats.paired_difference(a[order], b[order]) == stats.paired_difference(a, b)
    assert stats.paired_difference(a.astype(np.uint8), b.astype(float)) == stats.paired_difference(a, b)


@pytest.mark.parametrize(("n", "word"), [(300, "cannot tell"), (764, "cannot tell"), (765, "same"), (10_000, "same")])
def test_identical_answers_give_a_narrow_interval_that_is_not_empty(n, word):
    a, _ = random_answers(n, 3)
    delta, lo, hi = stats.paired_difference(a, a)
    assert delta == 0
    assert hi == -lo
    assert hi == pytest.approx(1.96**2 / (n + 1.96**2), rel=1e-3)
    assert verdict(lo, hi) == word


@pytest.mark.parametrize("counts", [(0, 1, 0, 0), (0, 50, 0, 0), (0, 0, 50, 0), (299, 1, 0, 0), (1, 0, 0, 0)])
def test_paired_interval_holds_delta_and_stays_in_range(counts):
    delta, lo, hi = stats.paired_difference(*answers(*counts))
    assert -1 <= lo <= delta <= hi <= 1
    assert lo < hi


@pytest.mark.parametrize("only_a", [5, 10, 14, 15, 16, 20, 30, 31, 45])
def test_paired_interval_leaves_zero_out_when_mcnemar_rejects(only_a):
    lo, hi = stats.paired_interval(only_a, 29, 479 + only_a)
    table = [[400, only_a], [29, 50]]
    assert (lo > 0 or hi < 0) == (mcnemar(table, exact=False, correction=False).pvalue < 0.05)


def test_paired_difference_refuses_what_is_not_paired_answers():
    with pytest.raises(ValueError, match=r"shapes \(3,\) and \(4,\)"):
        stats.paired_difference(np.ones(3, bool), np.ones(4, bool))
    with pytest.raises(ValueError, match="other than 0 and 1"):
        stats.paired_difference(np.array([0.2, 0.9]), np.array([1, 0]))
    with pytest.raises(ValueError, match="n > 0"):
        stats.paired_difference(np.array([], bool), np.array([], bool))


@pytest.mark.parametrize("counts", [(80, 4, 10, 6), (10, 0, 0, 3), (900, 31, 5, 20), (50, 7, 7, 1), (9000, 25, 30, 9)])
def test_mcnemar_is_that_of_statsmodels(counts):
    both, only_a, only_b, neither = counts
    expected = mcnemar([[both, only_a], [only_b, neither]], exact=True).pvalue
    assert stats.mcnemar_exact(*answers(*counts)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("n", "changed", "shift"), [(300, 0.05, 0.0), (1000, 0.04, -0.015), (10_000, 0.06, -0.005)])
def test_paired_interval_holds_the_truth_95_times_in_100(n, changed, shift):
    cells = ((changed + shift) / 2, (changed - shift) / 2, 1 - changed)
    draws = np.random.default_rng(0).multinomial(n, cells, 20_000)
    lo, hi = stats.paired_interval(draws[:, 0], draws[:, 1], n)
    assert np.mean((lo <= shift) & (shift <= hi)) == pytest.approx(0.95, abs=0.01)


# Seeds


def test_over_seeds_is_the_t_interval_of_scipy():
    values = [0.91, 0.93, 0.92, 0.90, 0.94]
    result = stats.over_seeds(values)
    expected = reference.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (result["lo"], result["hi"]) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert (result["mean"], result["n"]) == (pytest.approx(0.92), 5)
    assert result["sd"] == pytest.approx(0.0158113883)


def test_one_seed_has_no_interval():
    assert stats.over_seeds([0.9]) == {"mean": 0.9, "sd": None, "n": 1, "lo": None, "hi": None}
    with pytest.raises(ValueError, match="at least one"):
        stats.over_seeds([])


# What holds for all counts


@given(st.integers(1, 5000), st.floats(0, 1), st.floats(0.5, 0.999))
def test_wilson_holds_the_share_mirrors_and_narrows(n, share, confidence):
    n_correct = round(share * n)
    lo, hi = stats.wilson(n_correct, n, confidence)
    assert 0 <= lo <= n_correct / n <= hi <= 1
    assert stats.wilson(n - n_correct, n, confidence) == pytest.approx((1 - hi, 1 - lo), abs=1e-12)
    narrower = stats.wilson(4 * n_correct, 4 * n, confidence)
    assert narrower[1] - narrower[0] < hi - lo


@given(counts, counts, counts)
def test_the_paired_interval_holds_the_difference_and_mirrors(only_a, only_b, neither_or_both):
    n = only_a + only_b + neither_or_both + 1
    lo, hi = (float(end) for end in stats.paired_interval(only_a, only_b, n))
    assert -1 <= lo <= (only_a - only_b) / n <= hi <= 1
    assert stats.paired_interval(only_b, only_a, n) == pytest.approx((-hi, -lo), abs=1e-12)


@given(counts, counts, counts)
def test_one_more_item_that_only_a_has_right_never_lowers_the_interval(only_a, only_b, others):
    n = only_a + only_b + others + 1
    before, after = stats.paired_interval(only_a, only_b, n), stats.paired_interval(only_a + 1, only_b, n)
    assert float(after[0]) >= float(before[0]) - 1e-12
    assert float(after[1]) >= float(before[1]) - 1e-12
