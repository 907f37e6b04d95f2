"""Accuracy, and what it does not show: the accuracy of each class, and calibration."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebook.metrics.intervals import paired_difference, wilson
from edgebook.metrics.metric import Interval, Metric
from edgebook.metrics.verdicts import SCORE_MARGIN


def per_class(y: np.ndarray, predicted: np.ndarray, n_classes: int) -> dict[str, list[float | None] | float]:
    """`accuracy` and `f1`, one value per class, and `macro_f1`, the mean of f1; y and predicted are class numbers, (n,).

    A class without items has accuracy None; a class without items and predictions has f1 None and is left out of macro_f1,
    as in scikit-learn.
    """
    y, predicted = np.asarray(y), np.asarray(predicted)
    if y.shape != predicted.shape or y.size == 0:
        raise ValueError(f"shapes {y.shape} and {predicted.shape}: need two equal (n,) with n > 0")
    if min(y.min(), predicted.min()) < 0 or max(y.max(), predicted.max()) >= n_classes:
        raise ValueError(f"class numbers outside 0..{n_classes - 1}")
    n_right, n_items, n_predicted = (np.bincount(v, minlength=n_classes).tolist() for v in (y[y == predicted], y, predicted))
    accuracy = [right / n if n else None for right, n in zip(n_right, n_items)]
    f1 = [2 * right / (n + m) if n + m else None for right, n, m in zip(n_right, n_items, n_predicted)]
    present = [value for value in f1 if value is not None]
    return {"accuracy": accuracy, "f1": f1, "macro_f1": sum(present) / len(present)}


def expected_calibration_error(outputs: np.ndarray, y: np.ndarray, bins: int = 15) -> float:
    """Mean |accuracy - confidence| over equal-width bins (low, high], weighted by items; outputs (n, c), y (n,).

    Outputs are logits, softmaxed here, unless all lie in [0, 1] and every row sums to 1 within 0.2 (an int8 softmax
    does no better). Source: Guo et al. 2017, On calibration of modern neural networks, equation 3.
    """
    outputs, y = np.asarray(outputs, np.float64), np.asarray(y)
    if outputs.ndim != 2 or y.shape != outputs.shape[:1] or y.size == 0:
        raise ValueError(f"shapes {outputs.shape} and {y.shape}: need (n, c) and (n,) with n > 0")
    confidence = _probabilities(outputs).max(axis=1)
    right = outputs.argmax(axis=1) == y
    edges = np.linspace(0, 1, bins + 1)
    bin_of = np.searchsorted(edges[1:-1], confidence, side="left")
    gaps = np.bincount(bin_of, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / y.size)


def _probabilities(outputs: np.ndarray) -> np.ndarray:
    """The rows of `outputs`, (n, c), as probabilities: as they are, or their softmax."""
    sums = outputs.sum(axis=1)
    if outputs.min() >= 0 and outputs.max() <= 1 and np.abs(sums - 1).max() <= 0.2:
        return outputs
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def logits(outputs: np.ndarray) -> np.ndarray:
    """Outputs as (n, n_outputs): some files give (n, n_outputs, 1, 1)."""
    return outputs.reshape(len(outputs), -1)


def correct(outputs: np.ndarray, inputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Which items have their largest output at the label, bool (n,)."""
    return logits(outputs).argmax(1) == targets


def accuracy(correct_items: np.ndarray, targets: np.ndarray) -> float:
    """Share of correct items, in [0, 1]."""
    return float(correct_items.mean())


def accuracy_interval(correct_items: np.ndarray, targets: np.ndarray) -> Interval:
    """Wilson's 95 % interval of the share."""
    return wilson(int(correct_items.sum()), len(correct_items))


def accuracy_difference(a: np.ndarray, b: np.ndarray, targets: np.ndarray) -> tuple[float, float, float]:
    """(accuracy of a - accuracy of b, lo, hi), Tango's paired interval."""
    return paired_difference(a, b)


def majority_share(targets: np.ndarray) -> float:
    """Accuracy of always answering the most frequent class."""
    return float(np.bincount(targets).max() / len(targets))


def class_details(outputs: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
    """macro_f1, class_accuracy (one per class), worst_class_accuracy, calibration_error."""
    outputs = logits(outputs)
    by_class = per_class(targets, outputs.argmax(1), outputs.shape[1])
    return {
        "macro_f1": by_class["macro_f1"],
        "class_accuracy": by_class["accuracy"],
        "worst_class_accuracy": min((share for share in by_class["accuracy"] if share is not None), default=None),
        "calibration_error": expected_calibration_error(outputs, targets),
    }


ACCURACY = Metric(
    name="accuracy",
    label="accuracy",
    item_scores=correct,
    score=accuracy,
    interval=accuracy_interval,
    difference=accuracy_difference,
    chance=majority_share,
    margin=lambda targets: SCORE_MARGIN,
    details=class_details,
)
