"""Mean absolute error of predicted values, as a score: negative, so that higher is better."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebook.metrics.bootstrap import bca_interval
from edgebook.metrics.metric import Array, Interval, Metric

MARGIN = 0.01  # of the error of the best constant


def rows_of_values(values: Array) -> Array:
    """Values as float64 (n, k): some files give (n, k, 1, 1), some targets are (n,)."""
    return np.asarray(values, np.float64).reshape(len(values), -1)


def negative_absolute_error(outputs: Array, inputs: Array, targets: Array) -> Array:
    """-|output - target| of each item, averaged over its values, float32 (n,)."""
    return -np.abs(rows_of_values(outputs) - rows_of_values(targets)).mean(1).astype(np.float32)


def mean_score(items: Array, targets: Array) -> float:
    """Mean over the items, in the unit of the targets."""
    return float(np.mean(items, dtype=np.float64))


def mean_interval(items: Array, targets: Array) -> Interval:
    """95 % bootstrap interval of the mean over the items."""
    return bca_interval(_counted(items), _mean)[1:]


def mean_difference(a: Array, b: Array, targets: Array) -> tuple[float, float, float]:
    """(mean of a - mean of b, lo, hi): bootstrap over the differences of the same items."""
    return bca_interval(_counted(np.subtract(a, b, dtype=np.float64)), _mean)


def median_score(targets: Array) -> float:
    """Score of always predicting the median of the targets, the constant with the smallest absolute error."""
    values = rows_of_values(targets)
    return -float(np.abs(values - np.median(values, 0)).mean())


def spread_margin(targets: Array) -> float:
    """1 % of the error of the best constant: of the mean absolute deviation from the median."""
    return -MARGIN * median_score(targets)


def error_details(outputs: Array, targets: Array) -> dict[str, Any]:
    """rmse, in the unit of the targets, and r2, averaged over the values of an item; r2 is None for constant targets."""
    predicted, values = rows_of_values(outputs), rows_of_values(targets)
    squared = (predicted - values) ** 2
    variance = ((values - values.mean(0)) ** 2).mean(0)
    r2 = float((1 - squared.mean(0) / variance).mean()) if (variance > 0).all() else None
    return {"rmse": float(np.sqrt(squared.mean())), "r2": r2}


def _counted(values: Array) -> Array:
    """(n, 2): the values, and ones that count them."""
    return np.stack([np.asarray(values, np.float64), np.ones(len(values))], 1)


def _mean(sums: Array) -> Array:
    return sums[..., 0] / sums[..., 1]


NEGATIVE_MEAN_ABSOLUTE_ERROR = Metric(
    name="neg_mean_absolute_error",
    label="negative mean absolute error",
    item_scores=negative_absolute_error,
    score=mean_score,
    interval=mean_interval,
    difference=mean_difference,
    chance=median_score,
    margin=spread_margin,
    details=error_details,
    scale=1.0,
    unit="",
    difference_unit="",
    decimals=3,
    perfect=0.0,
)
