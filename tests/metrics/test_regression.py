"""Absolute error as a score: scikit-learn, by hand, invariances, coverage of the paired difference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.dummy import DummyRegressor
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from edgebook.metrics import METRICS

METRIC = METRICS["neg_mean_absolute_error"]


def predictions(n: int, k: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    targets = random.normal(5, 2, (n, k))
    return (targets + random.normal(0, 0.5, (n, k))).astype(np.float32), targets.astype(np.float32)


@pytest.mark.parametrize("k", [1, 3])
def test_it_is_that_of_scikit_learn(k):
    outputs, targets = predictions(200, k)
    items = METRIC.item_scores(outputs, outputs, targets)
    assert items.shape == (200,)
    assert METRIC.score(items, targets) == pytest.approx(-mean_absolute_error(targets, outputs), rel=1e-5)
    details = METRIC.details(outputs, targets)
    assert details["r2"] == pytest.approx(r2_score(targets, outputs), rel=1e-5)
    assert details["rmse"] == pytest.approx(np.sqrt(np.mean((outputs - targets) ** 2)), rel=1e-5)
    if k == 1:
        assert details["rmse"] == pytest.approx(root_mean_squared_error(targets, outputs), rel=1e-5)
        constant = DummyRegressor(strategy="median").fit(targets, targets).predict(targets)
        assert METRIC.chance(targets) == pytest.approx(-mean_absolute_error(targets, constant), rel=1e-5)


def test_by_hand():
    targets, outputs = np.array([1.0, 2.0, 6.0]), np.array([[[[2.0]]], [[[2.0]]], [[[3.0]]]])  # as some files give them
    items = METRIC.item_scores(outputs, outputs, targets)
    assert items.tolist() == [-1, 0, -3]
    assert METRIC.score(items, targets) == pytest.approx(-4 / 3)
    assert METRIC.chance(targets) == pytest.approx(-(1 + 0 + 4) / 3)  # always 2
    assert METRIC.margin(targets) == pytest.approx(0.01 * 5 / 3)
    assert METRIC.perfect == 0
    assert METRIC.details(np.ones((3, 1)), np.ones((3, 1))) == {"rmse": 0.0, "r2": None}


def test_no_constant_scores_better_than_chance():
    _, targets = predictions(101, 1)
    constants = np.linspace(targets.min(), targets.max(), 400)
    best = max(METRIC.score(METRIC.item_scores(np.full_like(targets, c), targets, targets), targets) for c in constants)
    assert best <= METRIC.chance(targets) + 1e-6
    assert best == pytest.approx(METRIC.chance(targets), abs=0.01)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(5, 60), st.floats(0.01, 100), st.floats(-50, 50))
def test_differences_mirror_and_follow_the_unit_of_the_targets(seed, n, scale, shift):
    a, targets = predictions(n, 1, seed)
    b, _ = predictions(n, 1, seed + 1)
    items_a, items_b = (METRIC.item_scores(x, x, targets) for x in (a, b))
    delta, lo, hi = METRIC.difference(items_a, items_b, targets)
    assert lo <= delta <= hi
    assert METRIC.difference(items_b, items_a, targets) == pytest.approx((-delta, -hi, -lo), abs=0.05 * (hi - lo) + 1e-9)
    scaled = scale * targets.astype(np.float64) + shift
    scaled_a, scaled_b = (METRIC.item_scores(scale * x.astype(np.float64) + shift, x, scaled) for x in (a, b))
    assert METRIC.difference(scaled_a, scaled_b, scaled) == pytest.approx((scale * delta, scale * lo, scale * hi), rel=1e-3)
    assert METRIC.margin(scaled) == pytest.approx(scale * METRIC.margin(targets), rel=1e-6)


def test_the_paired_difference_is_narrower_than_what_two_intervals_suggest():
    a, targets = predictions(300, 1)
    b = a + np.random.default_rng(1).normal(0, 0.02, a.shape).astype(np.float32)
    items_a, items_b = (METRIC.item_scores(x, x, targets) for x in (a, b))
    (_, lo, hi), (single_lo, single_hi) = METRIC.difference(items_b, items_a, targets), METRIC.interval(items_a, targets)
    assert hi - lo < 0.2 * (single_hi - single_lo)


def test_the_paired_difference_holds_the_truth():
    """A file that adds noise of deviation 0.3 to errors of deviation 1: E|error| grows from 0.798 to sqrt(1.09) of it."""
    random, held = np.random.default_rng(2), 0
    truth = -np.sqrt(2 / np.pi) * (np.sqrt(1.09) - 1)
    for _ in range(300):
        error = random.standard_normal(90)
        _, lo, hi = METRIC.difference(-np.abs(error + 0.3 * random.standard_normal(90)), -np.abs(error), error)
        held += lo <= truth <= hi
    assert 0.915 * 300 <= held <= 0.985 * 300
