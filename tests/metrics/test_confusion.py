"""Balanced accuracy and macro-F1: scikit-learn, invariances, coverage with uneven classes, files that never disagree."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score

from edgebook.metrics import METRICS
from edgebook.metrics import confusion as stats

BALANCED, MACRO_F1 = METRICS["balanced_accuracy"], METRICS["macro_f1"]
BOTH = pytest.mark.parametrize("metric", [BALANCED, MACRO_F1], ids=lambda metric: metric.name)
REFERENCES = {"balanced_accuracy": balanced_accuracy_score, "macro_f1": lambda y, p: f1_score(y, p, average="macro")}


def answers(sizes: tuple[int, ...], seed: int, right: float = 0.8, changed: float = 0.05) -> tuple[np.ndarray, ...]:
    """(predictions of a file, of another one that resembles it, targets), int16 as samples keep them."""
    random, targets = np.random.default_rng(seed), np.repeat(np.arange(len(sizes)), sizes)
    guesses = random.integers(0, len(sizes), (2, len(targets)))
    a = np.where(random.random(len(targets)) < right, targets, guesses[0])
    b = np.where(random.random(len(targets)) < changed, guesses[1], a)
    return a.astype(np.int16), b.astype(np.int16), targets


@BOTH
@pytest.mark.parametrize("sizes", [(50, 50), (90, 10), (200, 40, 5, 1), (30,) * 12])
def test_scores_and_chance_are_those_of_scikit_learn(metric, sizes):
    a, _, targets = answers(sizes, 0)
    assert metric.score(a, targets) == pytest.approx(REFERENCES[metric.name](targets, a), abs=1e-12)
    majority = DummyClassifier(strategy="most_frequent").fit(targets[:, None], targets).predict(targets[:, None])
    assert metric.chance(targets) == pytest.approx(REFERENCES[metric.name](targets, majority), abs=1e-12)


def test_item_scores_are_predicted_classes_and_the_matrix_is_that_of_scikit_learn():
    a, _, targets = answers((20, 30, 5), 1)
    outputs = np.eye(3, dtype=np.float32)[a].reshape(-1, 3, 1, 1)
    assert np.array_equal(BALANCED.item_scores(outputs, outputs, targets), a)
    assert np.array_equal(stats.confusion(a, targets), confusion_matrix(targets, a))
    assert np.array_equal(stats.confusion(a[:20], targets[:20]), confusion_matrix(targets[:20], a[:20]))


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.lists(st.integers(1, 30), min_size=2, max_size=5), st.floats(0, 1))
def test_what_holds_for_all_answers(seed, sizes, right):
    a, b, targets = answers(tuple(sizes), seed, right)
    for metric in (BALANCED, MACRO_F1):
        score, (lo, hi) = metric.score(a, targets), metric.interval(a, targets)
        assert 0 <= lo <= score <= hi <= 1
        assert lo < hi
        delta, lower, upper = metric.difference(a, b, targets)
        assert lower <= delta <= upper
        assert delta == pytest.approx(score - metric.score(b, targets), abs=1e-12)
        order = np.random.default_rng(seed).permutation(len(targets))
        assert metric.difference(a[order], b[order], targets[order]) == (delta, lower, upper)


@BOTH
def test_swapping_the_files_negates_the_difference(metric):
    a, b, targets = answers((300, 60, 20), 2)
    delta, lo, hi = metric.difference(a, b, targets)
    mirrored = metric.difference(b, a, targets)
    assert mirrored == pytest.approx((-delta, -hi, -lo), abs=0.06 * (hi - lo))


@BOTH
def test_even_classes_give_nearly_the_intervals_of_accuracy(metric):
    a, b, targets = answers((400, 400), 3, right=0.7)
    accuracy = METRICS["accuracy"]
    expected, ours = accuracy.interval(a == targets, targets), metric.interval(a, targets)
    assert ours == pytest.approx(expected, abs=0.06 * (expected[1] - expected[0]))
    delta, lo, hi = accuracy.difference(a == targets, b == targets, targets)
    assert metric.difference(a, b, targets) == pytest.approx((delta, lo, hi), abs=0.12 * (hi - lo))


@BOTH
@pytest.mark.parametrize("n", [100, 1000])
def test_files_that_never_disagree_and_files_without_an_error_leave_a_doubt(metric, n):
    targets = np.repeat([0, 1], [n // 2, n // 2])
    a = targets.copy()
    a[:3] = 1
    delta, lo, hi = metric.difference(a, a, targets)
    assert delta == 0
    assert 2 / n < hi < 5 / n
    assert 2 / n < -lo < 5 / n
    perfect = metric.interval(targets, targets)
    assert perfect[1] == 1
    assert 2 / n < 1 - perfect[0] < 5 / n


def test_a_rare_class_counts_as_much_as_a_frequent_one():
    targets = np.repeat([0, 1], [990, 10])
    a, b = targets.copy(), targets.copy()
    a[-5:], b[:5] = 0, 1  # five errors each, in the rare class or in the frequent one
    assert METRICS["accuracy"].difference(a == targets, b == targets, targets)[0] == 0
    assert BALANCED.score(a, targets) == pytest.approx(0.75)
    delta, _, hi = BALANCED.difference(a, b, targets)
    assert delta < -0.2
    assert hi < 0


@BOTH
@pytest.mark.parametrize("sizes", [(30,) * 10, (200, 20)])
def test_the_interval_holds_the_truth(metric, sizes):
    random, targets, k = np.random.default_rng(4), np.repeat(np.arange(len(sizes)), sizes), len(sizes)
    chances = np.full((k, k), 0.05 / (k - 1))
    np.fill_diagonal(chances, 0.95)
    score = {"balanced_accuracy": stats.balanced_accuracy, "macro_f1": stats.macro_f1}[metric.name]
    truth, held = float(score(chances * np.array(sizes)[:, None])), 0
    for _ in range(200):
        a = (random.random((len(targets), 1)) > chances[targets].cumsum(1)).sum(1).clip(max=k - 1)
        lo, hi = metric.interval(a, targets)
        held += lo <= truth <= hi
    assert held >= 0.92 * 200
