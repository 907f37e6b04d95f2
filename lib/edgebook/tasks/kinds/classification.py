"""Classification: one of several classes per item, from logits (n, classes)."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from edgebook.metrics.confusion import predicted_class
from edgebook.tasks.kinds.kind import Kind


def cross_entropy(outputs: Tensor, x: Tensor, y: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Cross entropy of logits (n, classes) with y (n,), or of (n, classes, H, W) with one class per pixel, y (n, H, W)."""
    return F.cross_entropy(outputs, y, label_smoothing=label_smoothing)


def softened_divergence(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """T^2 * KL(softmax(teacher / T) || softmax(student / T)) of logits (n, classes, ...), mean over items and pixels.

    Source: Hinton et al. 2015, Distilling the knowledge in a neural network, section 2.
    """
    log_student, log_teacher = F.log_softmax(student / temperature, 1), F.log_softmax(teacher / temperature, 1)
    n_distributions = student.numel() // student.shape[1]
    return F.kl_div(log_student, log_teacher, reduction="sum", log_target=True) * temperature**2 / n_distributions


def largest_class(outputs: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Class with the largest output, int16 (n,)."""
    return predicted_class(outputs, x, x)


def same_class(outputs: np.ndarray, reference: np.ndarray) -> float:
    """Share of the items that get the same class from both."""
    return float((largest_class(outputs, outputs) == largest_class(reference, reference)).mean())


CLASSIFICATION = Kind(
    name="classification",
    metric="accuracy",
    loss=cross_entropy,
    soft_loss=softened_divergence,
    predict=largest_class,
    agreement=same_class,
    n_outputs=lambda class_names, x, y: len(class_names),
)
