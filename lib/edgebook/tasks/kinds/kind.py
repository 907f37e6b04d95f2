"""The record of a kind of task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class Kind:
    """One kind of task. Tensors in training, numpy in measuring; the batch is always the first dimension.

    metric: the name of the default metric, in METRICS. loss: what training minimises, a mean over items (and pixels).
    soft_loss: how far a student's outputs are from its teacher's, a mean like the loss and in its unit; also the divergence by
    which compression is judged before any score. A kind without classes ignores label smoothing and temperature.
    predict: outputs -> what samples keep as the prediction of each item. agreement: how alike a network or file and a
    reference compute the same items, in [0, 1]; 1 for equal outputs. targets: what the labels of the user's own data become,
    one of `tasks.labels.TARGETS`. other_metrics: those that a task of this kind may name instead.
    """

    name: str
    metric: str
    loss: Callable[..., Tensor]  # (outputs, x, y, label_smoothing); with classes also class_weights=
    soft_loss: Callable[[Tensor, Tensor, float], Tensor]  # (student outputs, teacher outputs, temperature)
    predict: Callable[[np.ndarray, np.ndarray], np.ndarray]  # (outputs, x) -> (n, ...)
    agreement: Callable[[np.ndarray, np.ndarray], float]  # (outputs, reference outputs)
    n_outputs: Callable[[tuple[str, ...], Tensor, Tensor], int]  # (class names, x, y)
    output_shape: Callable[[tuple[int, ...], int], tuple[int, ...]]  # (input shape, n_outputs) -> that of one item
    has_classes: bool = True
    targets: str = "classes"
    other_metrics: tuple[str, ...] = ()

    @property
    def all_metrics(self) -> tuple[str, ...]:
        """The default metric, then the others."""
        return self.metric, *self.other_metrics
