"""Mean intersection over union of pixel classes, from counts per item."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgebook.metrics.bootstrap import bca_interval
from edgebook.metrics.metric import Array, Interval, Metric
from edgebook.metrics.verdicts import SCORE_MARGIN


def class_map(outputs: Array) -> Array:
    """Class of each pixel, the one with the largest output: (n, classes, H, W) -> int16 (n, H, W)."""
    return np.asarray(outputs).argmax(1).astype(np.int16)


def overlaps(outputs: Array, inputs: Array, targets: Array) -> Array:
    """Pixels in the intersection and in the union of each class, per item: int32 (n, 2, classes)."""
    predicted, n_classes = class_map(outputs), outputs.shape[1]
    items = np.empty((len(targets), 2, n_classes), np.int32)
    for number in range(n_classes):
        is_predicted, is_target = predicted == number, targets == number
        items[:, 0, number] = (is_predicted & is_target).sum((1, 2))
        items[:, 1, number] = (is_predicted | is_target).sum((1, 2))
    return items


def mean_iou(items: Array, targets: Array) -> float:
    """IoU of each class over all pixels of all items, averaged over the classes that the targets have; in [0, 1]."""
    return float(_statistic(targets)(_columns(items).sum(0)))


def mean_iou_interval(items: Array, targets: Array) -> Interval:
    """95 % bootstrap interval over items: pixels of one image resemble each other, items are drawn whole."""
    return bca_interval(_columns(items), _statistic(targets))[1:]


def mean_iou_difference(a: Array, b: Array, targets: Array) -> tuple[float, float, float]:
    """(mean IoU of a - mean IoU of b, lo, hi): bootstrap that draws the same items for both."""
    both, mean = np.concatenate([_columns(a), _columns(b)], 1), _statistic(targets)
    n = both.shape[1] // 2
    return bca_interval(both, lambda sums: mean(sums[..., :n]) - mean(sums[..., n:]))


def majority_iou(targets: Array) -> float:
    """Mean IoU of giving every pixel the most frequent class."""
    counts = np.bincount(targets.ravel())
    return float(counts.max() / counts.sum() / np.count_nonzero(counts))


def iou_details(outputs: Array, targets: Array) -> dict[str, Any]:
    """class_iou (one per class, None where neither targets nor predictions have it), worst_class_iou, pixel_accuracy."""
    intersections, unions = overlaps(outputs, outputs, targets).sum(0)
    by_class = [float(common / all_) if all_ else None for common, all_ in zip(intersections, unions)]
    return {
        "class_iou": by_class,
        "worst_class_iou": min((value for value in by_class if value is not None), default=None),
        "pixel_accuracy": float((class_map(outputs) == targets).mean()),
    }


def _columns(items: Array) -> Array:
    """(n, 2 * classes), intersections first."""
    return np.asarray(items, np.float64).reshape(len(items), -1)


def _statistic(targets: Array) -> Callable[[Array], Array]:
    """Sums (..., 2 * classes) -> mean IoU (...) over the classes of `targets`; one that a resampling lacks is left out."""
    present = np.unique(targets)

    def mean_over_classes(sums: Array) -> Array:
        intersections, unions = (half[..., present] for half in np.split(sums, 2, axis=-1))
        ious = np.divide(intersections, unions, out=np.zeros_like(unions), where=unions > 0)
        return ious.sum(-1) / (unions > 0).sum(-1)

    return mean_over_classes


MEAN_IOU = Metric(
    name="mean_iou",
    label="mean IoU",
    item_scores=overlaps,
    score=mean_iou,
    interval=mean_iou_interval,
    difference=mean_iou_difference,
    chance=majority_iou,
    margin=lambda targets: SCORE_MARGIN,
    details=iou_details,
)
