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
    reference compute the same items, in [0, 1]; 1 for equal outputs.
    """

    name: str
    metric: str
    loss: Callable[[Tensor, Tensor, Tensor, float], Tensor]  # (outputs, x, y, label_smoothing)
    soft_loss: Callable[[Tensor, Tensor, float], Tensor]  # (student outputs, teacher outputs, temperature)
    predict: Callable[[np.ndarray, np.ndarray], np.ndarray]  # (outputs, x) -> (n, ...)
    agreement: Callable[[np.ndarray, np.ndarray], float]  # (outputs, reference outputs)
    n_outputs: Callable[[tuple[str, ...], Tensor, Tensor], int]  # (class names, x, y)
    has_classes: bool = True
