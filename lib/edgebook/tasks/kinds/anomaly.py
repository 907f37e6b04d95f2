"""Anomaly detection by reconstruction: a network that has seen normal items only reconstructs others badly."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from edgebook.metrics.anomaly import reconstruction_error
from edgebook.tasks.kinds.kind import Kind
from edgebook.tasks.kinds.regression import reproduced_variance, squared_distance


def squared_reconstruction_error(outputs: Tensor, x: Tensor, y: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Mean squared difference of the inputs and their reconstructions, (n, ...); y is not used."""
    return F.mse_loss(outputs.flatten(1), x.flatten(1))


def anomaly_score(outputs: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Reconstruction error of each item, float32 (n,): the higher, the more anomalous."""
    return reconstruction_error(outputs, x, x)


ANOMALY = Kind(
    name="anomaly",
    metric="auc",
    loss=squared_reconstruction_error,
    soft_loss=squared_distance,
    predict=anomaly_score,
    agreement=reproduced_variance,
    n_outputs=lambda class_names, x, y: x[0].numel(),
    has_classes=False,
)
