"""AUC: scikit-learn, DeLong's published example and equations, invariances, coverage, perfect separation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from edgebook.metrics import METRICS
from edgebook.metrics import anomaly as stats

# albumin, total protein, K-G score and outcome of 43 patients: DeLong et al. 1988, as printed in SAS/STAT's example "Comparing
# Receiver Operating Characteristic Curves"
PATIENTS = """
    3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1  3.8 5.7 5 1
    3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0
    4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1  3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1
    4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1
    2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1  3.6 6.6 5 1
"""
ALBUMIN, PROTEIN, KG, OUTCOME = np.array(PATIENTS.split(), float).reshape(-1, 4).T
KG = 10 - KG
OUTCOME = OUTCOME.astype(int)


def scores(m: int, n: int, seed: int, *, shift: float = 1.5, digits: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two scores that resemble each other, and the targets; few digits make ties."""
    random, targets = np.random.default_rng(seed), np.repeat([1, 0], [m, n])
    shared = random.standard_normal(m + n) + shift * targets
    return *(np.round(shared + 0.4 * random.standard_normal(m + n), digits) for _ in "ab"), targets


@pytest.mark.parametrize("digits", [6, 0])
@pytest.mark.parametrize(("m", "n"), [(5, 80), (40, 40), (90, 3)])
def test_the_area_is_that_of_scikit_learn(m, n, digits):
    a, _, targets = scores(m, n, 1, digits=digits)
    assert stats.auc(a, targets) == pytest.approx(roc_auc_score(targets, a), abs=1e-12)


@pytest.mark.parametrize(("score", "area", "error"), [(ALBUMIN, 0.7366, 0.0927), (PROTEIN, 0.6478, 0.1000), (KG, 0.7258, 0.1028)])
def test_areas_and_errors_are_the_published_ones(score, area, error):
    of_anomalies, of_normals = stats.placements(score, OUTCOME)
    variance = of_anomalies.var(ddof=1) / len(of_anomalies) + of_normals.var(ddof=1) / len(of_normals)
    assert (round(stats.auc(score, OUTCOME), 4), round(math.sqrt(variance), 4)) == (area, error)


@pytest.mark.parametrize(("score", "expected"), [(PROTEIN, (-0.0780, -0.2830, 0.1271)), (ALBUMIN, (0.0108, -0.1761, 0.1976))])
def test_the_paired_difference_is_the_published_one(score, expected):
    assert tuple(round(x, 4) for x in stats.auc_difference(score, KG, OUTCOME)) == expected


@pytest.mark.parametrize("digits", [6, 0])
def test_the_paired_difference_is_that_of_delongs_equations(digits):
    """Equations 2 to 5, item by item."""
    a, b, targets = scores(12, 17, 2, digits=digits)

    def kernel(anomaly, normal):
        return float(anomaly > normal) + 0.5 * float(anomaly == normal)

    tables = [np.array([[kernel(x, y) for y in s[targets == 0]] for x in s[targets == 1]]) for s in (a, b)]
    of_anomalies, of_normals = (np.stack([table.mean(axis) for table in tables]) for axis in (1, 0))
    covariance = np.cov(of_anomalies) / 12 + np.cov(of_normals) / 17
    contrast = np.array([1, -1])
    error = math.sqrt(contrast @ covariance @ contrast)
    delta, lo, hi = stats.auc_difference(a, b, targets)
    assert delta == pytest.approx(tables[0].mean() - tables[1].mean())
    assert (hi - delta, delta - lo) == pytest.approx((1.959964 * error,) * 2, rel=1e-6)


@given(st.integers(0, 10_000), st.integers(2, 30), st.integers(2, 30), st.integers(0, 3))
def test_what_holds_for_all_scores(seed, m, n, digits):
    a, b, targets = scores(m, n, seed, digits=digits)
    area, (lo, hi) = stats.auc(a, targets), stats.auc_interval(a, targets)
    assert 0 <= lo <= area <= hi <= 1
    assert lo < hi
    assert stats.auc_interval(-a, targets) == pytest.approx((1 - hi, 1 - lo), abs=1e-9)
    assert stats.auc_interval(np.exp(a), targets) == (lo, hi)  # ranks alone matter
    delta, lower, upper = stats.auc_difference(a, b, targets)
    assert -1 <= lower <= delta <= upper <= 1
    assert stats.auc_difference(b, a, targets) == pytest.approx((-delta, -upper, -lower), abs=1e-12)
    order = np.random.default_rng(seed).permutation(m + n)
    assert stats.auc_difference(a[order], b[order], targets[order]) == pytest.approx((delta, lower, upper), abs=1e-12)


@pytest.mark.parametrize(("m", "n"), [(20, 20), (100, 400)])
def test_perfect_separation_leaves_a_doubt_that_shrinks_with_the_items(m, n):
    targets = np.repeat([1, 0], [m, n])
    lo, hi = stats.auc_interval(targets + 0.0, targets)
    assert hi == 1
    assert 0.5 / min(m, n) < 1 - lo < 4 / min(m, n)
    assert stats.auc_interval(-targets, targets) == pytest.approx((0.0, 1 - lo), abs=1e-9)
    assert stats.auc_difference(targets + 0.0, targets * 2.0, targets) == pytest.approx((0, lo - 1, 1 - lo))


@pytest.mark.parametrize(("m", "n", "shift"), [(20, 40, 1.0), (50, 100, 2.0), (30, 1000, 3.5)])
def test_the_interval_holds_the_truth(m, n, shift):
    random, targets = np.random.default_rng(3), np.repeat([1, 0], [m, n])
    truth, held = norm.cdf(shift / math.sqrt(2)), 0
    for _ in range(600):
        lo, hi = stats.auc_interval(random.standard_normal(m + n) + shift * targets, targets)
        held += lo <= truth <= hi
    assert held >= 0.93 * 600


def test_the_paired_difference_holds_the_truth():
    random, targets = np.random.default_rng(4), np.repeat([1, 0], [60, 120])
    truth, held = norm.cdf(2 / math.sqrt(2)) - norm.cdf(1.8 / math.sqrt(2)), 0
    for _ in range(600):
        shared = 0.95 * random.standard_normal(180)
        a, b = (shared + math.sqrt(1 - 0.95**2) * random.standard_normal(180) + shift * targets for shift in (2, 1.8))
        _, lo, hi = stats.auc_difference(a, b, targets)
        held += lo <= truth <= hi
    assert 0.92 * 600 <= held <= 0.985 * 600


def test_the_score_of_an_item_is_its_mean_squared_error():
    inputs = np.arange(12, dtype=np.float32).reshape(2, 1, 2, 3)
    outputs = inputs.reshape(2, 6) + np.array([[1.0], [2.0]], np.float32)  # flat, as an autoencoder gives them
    assert METRICS["auc"].item_scores(outputs, inputs, np.zeros(2)).tolist() == [1, 4]
    assert METRICS["auc"].chance(np.array([0, 0, 1])) == 0.5


@pytest.mark.parametrize("targets", [[0, 0, 0, 0], [0, 0, 0, 1], [0, 1, 2, 1], [1, 1, 1, 1]])
def test_targets_other_than_both_kinds_are_refused(targets):
    with pytest.raises(ValueError, match="need \\(n,\\), targets 0 and 1, two or more of each"):
        stats.auc(np.arange(4.0), np.array(targets))
