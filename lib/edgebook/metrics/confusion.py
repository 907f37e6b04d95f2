"""Balanced accuracy and macro-F1, for classes of uneven size: scores of a confusion matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edgebook.metrics.classification import logits
from edgebook.metrics.metric import Array, Interval, Metric
from edgebook.metrics.verdicts import SCORE_MARGIN

N_DRAWS = 2000
Score = Callable[[Array], Array]  # confusion matrices (..., target, predicted) -> values (...)


def predicted_class(outputs: Array, inputs: Array, targets: Array) -> Array:
    """Class with the largest output, int16 (n,)."""
    return logits(outputs).argmax(1).astype(np.int16)


def confusion(predicted: Array, targets: Array) -> Array:
    """How many items of each class (rows) are predicted as each class (columns), (classes, classes)."""
    n_classes = _n_classes(predicted, targets)
    return np.bincount(targets * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)


def balanced_accuracy(matrix: Array) -> Array:
    """Mean over the classes of the share of each that is predicted right; classes without items are left out."""
    sizes = matrix.sum(-1)
    shares = _divide(np.diagonal(matrix, axis1=-2, axis2=-1), sizes)
    return shares.sum(-1) / (sizes > 0).sum(-1)


def macro_f1(matrix: Array) -> Array:
    """Mean over the classes of F1; classes without items and predictions are left out, as in scikit-learn."""
    sizes = matrix.sum(-1) + matrix.sum(-2)
    shares = _divide(2 * np.diagonal(matrix, axis1=-2, axis2=-1), sizes)
    return shares.sum(-1) / (sizes > 0).sum(-1)


def drawn_confusions(predictions: Sequence[Array], targets: Array, *, n_draws: int = N_DRAWS, seed: int = 0) -> list[Array]:
    """Confusion matrices (n_draws, classes, classes) of one or two files under random weights of the items, the same for both.

    The Bayesian bootstrap within each class: classes keep their sizes, items have exponential weights. Two items are added,
    spread evenly over the classes: one that only the first file has right, one that only the second has right (for one file:
    one right, one wrong). Without them, files that never disagree, or a file without an error, would leave no doubt at all.
    Source: Rubin 1981, Annals of Statistics 9:130; Goutte and Gaussier 2005, A probabilistic interpretation of precision,
    recall and F-score.
    """
    generator, stacked = np.random.default_rng(seed), np.stack(predictions, 1)
    n_classes = _n_classes(stacked, targets)
    matrices = [np.zeros((n_draws, n_classes, n_classes)) for _ in predictions]
    present = np.unique(targets)
    for number in present:
        answers, counts = np.unique(stacked[targets == number], axis=0, return_counts=True)
        weights = generator.standard_gamma([*counts, *[1 / len(present)] * 2], (n_draws, len(counts) + 2))
        weights *= counts.sum() / weights.sum(1, keepdims=True)
        right = np.eye(n_classes)[number]
        wrong = (1 - right) / max(n_classes - 1, 1)
        for file, (matrix, added) in enumerate(zip(matrices, ([right, wrong], [wrong, right]))):
            matrix[:, number] = weights @ np.concatenate([np.eye(n_classes)[answers[:, file]], added])
    return matrices


def interval(score: Score, predicted: Array, targets: Array) -> Interval:
    """95 % interval of a score; it holds the score itself."""
    value, (draws,) = float(score(confusion(predicted, targets))), drawn_confusions([predicted], targets)
    lo, hi = np.quantile(score(draws), (0.025, 0.975))
    return min(float(lo), value), max(float(hi), value)


def difference(score: Score, a: Array, b: Array, targets: Array) -> tuple[float, float, float]:
    """(score of a - score of b, lo, hi) on the same items; the interval holds the difference itself."""
    delta = float(score(confusion(a, targets)) - score(confusion(b, targets)))
    draws_a, draws_b = drawn_confusions([a, b], targets)
    lo, hi = np.quantile(score(draws_a) - score(draws_b), (0.025, 0.975))
    return delta, min(float(lo), delta), max(float(hi), delta)


def _n_classes(predicted: Array, targets: Array) -> int:
    return int(max(predicted.max(), targets.max())) + 1


def _divide(part: Array, whole: Array) -> Array:
    """part / whole, 0 where there is nothing."""
    return np.divide(part, whole, out=np.zeros(np.broadcast_shapes(part.shape, whole.shape)), where=whole > 0)


def _metric(name: str, label: str, score: Score) -> Metric:
    def always_majority(targets: Array) -> float:
        return float(score(confusion(np.full(len(targets), np.bincount(targets).argmax()), targets)))

    return Metric(
        name=name,
        label=label,
        item_scores=predicted_class,
        score=lambda predicted, targets: float(score(confusion(predicted, targets))),
        interval=lambda predicted, targets: interval(score, predicted, targets),
        difference=lambda a, b, targets: difference(score, a, b, targets),
        chance=always_majority,
        margin=lambda targets: SCORE_MARGIN,
    )


BALANCED_ACCURACY = _metric("balanced_accuracy", "balanced accuracy", balanced_accuracy)
MACRO_F1 = _metric("macro_f1", "macro-F1", macro_f1)
