"""Intervals against scipy, statsmodels, scikit-learn and published figures; invariances; coverage of the truth."""

import math

import numpy as np
import pytest
from scipy import optimize
from scipy import stats as reference
from sklearn.metrics import f1_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from edgebook.metrics import classification as classes
from edgebook.metrics import intervals as stats


def answers(both: int, only_a: int, only_b: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Two boolean arrays with these counts."""
    counts = (both, only_a, only_b, neither)
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


def random_answers(n: int, seed: int, accuracy: float = 0.9, changed: float = 0.08) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    a = random.random(n) < accuracy
    return a, a ^ (random.random(n) < changed)


def blocks_ar1(random: np.random.Generator, n: int, rho: float, noise: float = 0.03) -> np.ndarray:
    """n block latencies around a median of 1."""
    x = random.standard_normal(n)
    for t in range(1, n):
        x[t] = rho * x[t - 1] + math.sqrt(1 - rho * rho) * x[t]
    return np.exp(noise * x)


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
        found = optimize.minimize_scalar(unlikelihood, bounds=room, args=(end,), options={"xatol": 1e-12})
        q = found.x
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
    assert stats.verdict(lo, hi) == word


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


# Verdicts


@pytest.mark.parametrize(
    ("lo", "hi", "word"),
    [
        (-0.001, 0.002, "same"),
        (0.001, 0.004, "same"),  # surely above 0, too small to matter
        (-0.004, -0.001, "same"),
        (0.001, 0.02, "better"),
        (0.005, 0.006, "better"),
        (-0.02, -0.001, "worse"),
        (-0.005, 0.004, "cannot tell"),  # the margin itself is outside
        (-0.004, 0.005, "cannot tell"),
        (-0.01, 0.0, "cannot tell"),
        (0.0, 0.01, "cannot tell"),
        (-0.02, 0.02, "cannot tell"),
        (0.0, 0.0, "same"),
        (math.nan, math.nan, "cannot tell"),
    ],
)
def test_verdict(lo, hi, word):
    assert stats.verdict(lo, hi, 0.005) == word
    mirrored = {"better": "worse", "worse": "better"}.get(word, word)
    assert stats.verdict(-hi, -lo, 0.005) == mirrored


def test_verdict_refuses_an_interval_upside_down():
    with pytest.raises(ValueError, match=r"lo=0\.2, hi=0\.1"):
        stats.verdict(0.2, 0.1)


@pytest.mark.parametrize(
    ("lo", "hi", "word"),
    [
        (0.98, 1.02, "same"),
        (1.01, 1.03, "same"),
        (1.01, 1.2, "faster"),
        (0.5, 0.9, "slower"),
        (0.9, 1.1, "cannot tell"),
    ],
)
def test_speed_verdict_mirrors_when_the_files_swap(lo, hi, word):
    mirrored = {"faster": "slower", "slower": "faster"}.get(word, word)
    assert (stats.speed_verdict(lo, hi), stats.speed_verdict(1 / hi, 1 / lo)) == (word, mirrored)


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


# Latency


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


# Classes, calibration, fronts


def test_per_class_by_hand_and_by_scikit_learn():
    y, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 2])
    result = classes.per_class(y, predicted, 4)
    assert result["accuracy"] == [pytest.approx(2 / 3), 0.5, 1.0, None]
    assert result["f1"] == [pytest.approx(0.8), 0.5, pytest.approx(2 / 3), None]
    assert result["macro_f1"] == pytest.approx(f1_score(y, predicted, average="macro"))
    assert classes.per_class(np.array([0, 0]), np.array([0, 1]), 2)["accuracy"] == [0.5, None]
    assert classes.per_class(np.array([0, 0]), np.array([0, 1]), 2)["f1"] == [pytest.approx(2 / 3), 0.0]
    with pytest.raises(ValueError, match=r"outside 0\.\.1"):
        classes.per_class(y, predicted, 2)


def plain_calibration_error(probabilities: np.ndarray, y: np.ndarray, bins: int) -> float:
    confidence, right = probabilities.max(1), probabilities.argmax(1) == y
    total = 0.0
    for low, high in zip(np.linspace(0, 1, bins + 1)[:-1], np.linspace(0, 1, bins + 1)[1:]):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return total


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_calibration_error_is_that_of_a_plain_loop(bins):
    random = np.random.default_rng(12)
    logits, y = 3 * random.standard_normal((500, 10)), random.integers(0, 10, 500)
    powers = np.exp(logits)
    probabilities = powers / powers.sum(1, keepdims=True)
    probabilities[:3] = np.eye(10)[:3]  # sure of it
    expected = plain_calibration_error(probabilities, y, bins)
    assert classes.expected_calibration_error(probabilities, y, bins) == pytest.approx(expected, abs=1e-12)
    assert classes.expected_calibration_error(np.log(probabilities + 1e-30), y, bins) == pytest.approx(expected, abs=1e-9)


def test_calibration_error_by_hand():
    probabilities = np.array([[0.8, 0.2]] * 5)
    assert classes.expected_calibration_error(probabilities, np.array([0, 0, 0, 0, 1])) == pytest.approx(0)
    assert classes.expected_calibration_error(probabilities, np.ones(5, int)) == pytest.approx(0.8)
    on_the_edge = np.array([[0.5, 0.5], [0.7, 0.3]])  # of (0, 0.5] and (0.5, 1]: one item in each bin
    assert classes.expected_calibration_error(on_the_edge, np.array([0, 1]), bins=2) == pytest.approx((0.5 + 0.7) / 2)
    rounded = np.round(probabilities * 256) / 256  # an int8 softmax
    assert classes.expected_calibration_error(rounded, np.ones(5, int)) == pytest.approx(0.8, abs=0.004)


def test_pareto_by_hand():
    points = np.array([[0.90, 10], [0.95, 20], [0.90, 12], [0.95, 20], [0.80, 5], [0.80, 6], [math.nan, 1]])
    front = stats.pareto(points, (True, False))
    assert front.tolist() == [True, True, False, True, True, False, False]
    assert stats.pareto(np.empty((0, 2)), (True, False)).tolist() == []
    with pytest.raises(ValueError, match=r"need \(n, 3\)"):
        stats.pareto(points, (True, True, False))


def test_pareto_is_the_definition_and_ignores_order_and_monotone_scales():
    random = np.random.default_rng(13)
    points, maximise = random.integers(0, 6, (80, 3)).astype(float), (True, False, False)
    front = stats.pareto(points, maximise)
    gains = points * [1, -1, -1]
    for i, p in enumerate(gains):
        assert front[i] == (not any(all(q >= p) and any(q > p) for q in gains))
    order = random.permutation(80)
    assert (stats.pareto(points[order], maximise) == front[order]).all()
    assert (stats.pareto(np.exp(points), maximise) == front).all()
    assert (stats.pareto(-points, [not m for m in maximise]) == front).all()
