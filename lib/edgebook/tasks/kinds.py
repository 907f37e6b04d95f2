"""Kinds of task: what the outputs of a network mean, how it is trained, and by which metric it is scored.

A new kind is one record here, its metric in `edgebook.metrics`, and a test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Kind:
    """One kind of task. Tensors in training, numpy in measuring; the batch is always the first dimension.

    loss: mean over items of what training minimises. soft_loss: how far a student's outputs are from its teacher's, mean over
    items (also the divergence by which compression is judged before any score). predict: outputs -> what samples keep as
    the prediction of each item. agreement: how alike two networks answer the same items, in [0, 1].
    """

    name: str
    metric: str
    loss: Callable[[Tensor, Tensor, Tensor, float], Tensor]  # (outputs, x, y, label_smoothing)
    soft_loss: Callable[[Tensor, Tensor, float], Tensor]  # (student outputs, teacher outputs, temperature)
    predict: Callable[[np.ndarray, np.ndarray], np.ndarray]  # (outputs, x) -> (n, ...)
    agreement: Callable[[np.ndarray, np.ndarray], float]  # (outputs, outputs) on the same items
    n_outputs: Callable[[tuple[str, ...], Tensor, Tensor], int]  # (class names, x, y)
    has_classes: bool = True


def cross_entropy(outputs: Tensor, x: Tensor, y: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Cross entropy of logits (n, classes), or (n, classes, H, W) for one class per pixel."""
    return F.cross_entropy(outputs, y, label_smoothing=label_smoothing)


def softened_divergence(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """T^2 * KL(softmax(teacher / T) || softmax(student / T)), mean over items; logits (n, classes, ...).

    Source: Hinton et al. 2015, Distilling the knowledge in a neural network, section 2.
    """
    log_student, log_teacher = F.log_softmax(student / temperature, 1), F.log_softmax(teacher / temperature, 1)
    return F.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True) * temperature**2


def largest_class(outputs: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Class number of the largest output, (n,)."""
    return outputs.reshape(len(outputs), -1).argmax(1).astype(np.int16)


def same_class(a: np.ndarray, b: np.ndarray) -> float:
    """Share of the items with the same largest output."""
    return float((largest_class(a, a) == largest_class(b, b)).mean())


CLASSIFICATION = Kind(
    name="classification",
    metric="accuracy",
    loss=cross_entropy,
    soft_loss=softened_divergence,
    predict=largest_class,
    agreement=same_class,
    n_outputs=lambda class_names, x, y: len(class_names),
)

KINDS = {kind.name: kind for kind in (CLASSIFICATION,)}
