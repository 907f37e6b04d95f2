"""Regression: one or more values per item, (n, values)."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from edgebook.metrics.regression import rows_of_values
from edgebook.tasks.kinds.kind import Kind


def squared_error(outputs: Tensor, x: Tensor, y: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Mean squared error of values (n, k)."""
    return F.mse_loss(outputs.flatten(1), y.flatten(1))


def squared_distance(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """Mean squared difference of the outputs of student and teacher."""
    return F.mse_loss(student, teacher)


def values(outputs: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The predicted values, float32 (n, k)."""
    return rows_of_values(outputs).astype(np.float32)


def reproduced_variance(outputs: np.ndarray, reference: np.ndarray) -> float:
    """Share of the variance of the reference's outputs, around their means over the items, that `outputs` reproduce.

    In [0, 1], 0 also where the differences are larger than the variance; for a reference with constant outputs 1 when both
    are equal, else 0.
    """
    expected = rows_of_values(reference)
    remaining = float(((rows_of_values(outputs) - expected) ** 2).sum())
    variance = float(((expected - expected.mean(0)) ** 2).sum())
    return max(0.0, 1 - remaining / variance) if variance > 0 else float(remaining == 0)


REGRESSION = Kind(
    name="regression",
    metric="neg_mean_absolute_error",
    loss=squared_error,
    soft_loss=squared_distance,
    predict=values,
    agreement=reproduced_variance,
    n_outputs=lambda class_names, x, y: y[0].numel(),
    has_classes=False,
)
