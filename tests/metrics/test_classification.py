"""Accuracy's details: counts by hand, scikit-learn, a plain loop."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from edgebook.metrics import METRICS
from edgebook.metrics import classification as classes


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


# The metric


@pytest.mark.parametrize("shape", [(6, 3), (6, 3, 1, 1)])
def test_accuracy_by_hand(shape):
    targets = np.array([0, 1, 2, 0, 1, 1])
    outputs = np.eye(3, dtype=np.float32)[[0, 1, 2, 1, 1, 0]].reshape(shape)  # four of six
    accuracy = METRICS["accuracy"]
    items = accuracy.item_scores(outputs, outputs, targets)
    assert items.tolist() == [True, True, True, False, True, False]
    assert accuracy.score(items, targets) == pytest.approx(4 / 6)
    assert accuracy.interval(items, targets)[0] < 4 / 6 < accuracy.interval(items, targets)[1]
    assert accuracy.difference(items, items, targets)[0] == 0
    assert accuracy.details(outputs, targets)["worst_class_accuracy"] == pytest.approx(0.5)


@pytest.mark.parametrize(("targets", "expected"), [([0, 1, 1, 1], 0.75), ([1, 1], 1.0), ([0, 1, 2, 2], 0.5), ([0, 0, 1, 1], 0.5)])
def test_chance_is_the_share_of_the_largest_class(targets, expected):
    assert METRICS["accuracy"].chance(np.array(targets)) == expected


def test_two_classes_have_details():
    outputs = np.array([[2.0, -1.0], [0.5, 0.7], [3.0, 0.0]])
    details = METRICS["accuracy"].details(outputs, np.array([0, 1, 1]))
    assert details["class_accuracy"] == [1.0, 0.5]
    assert details["macro_f1"] == pytest.approx(f1_score([0, 1, 1], [0, 1, 0], average="macro"))
