"""Quantization-aware training: one run with rounding in the loop, one set of integers, a file per runtime that takes them."""

from __future__ import annotations

import warnings
from typing import Any

from torch import nn

from edgebook.errors import BadInput
from edgebook.models.fake_quantized import prepare
from edgebook.tasks.task import Task
from edgebook.training.finetune import finetune
from edgebook.training.recipe import Recipe


def qat(
    model: nn.Module,
    task: Task,
    recipe: Recipe,
    *,
    teacher: nn.Module | None = None,
    soft_weight: float = 0.0,
    temperature: float = 4.0,
    freeze_at: float = 0.75,
) -> nn.Module:
    """The model fine-tuned with int8 rounding of weights and activations, as a FakeQuantized.

    Ranges freeze after the share `freeze_at` of the steps. The outputs of a `teacher` (the float model) get `soft_weight` of
    the loss. Raises BadInput for a share outside [0, 1], Unsupported as `prepare` does.
    Source: Jacob et al. 2018, Quantization and training of neural networks, section 3.
    """
    if not 0 <= freeze_at <= 1:
        raise BadInput(f"freeze_at = {freeze_at}; allowed: 0 to 1")
    last = int(freeze_at * recipe.epochs * recipe.steps_per_epoch(len(task.x_train)))

    def freeze(net: Any, step: int) -> None:
        if step == last:
            net.freeze()

    soft = {"teacher": teacher, "soft_weight": soft_weight, "temperature": temperature}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PyTorch's own, at every copy of an exported graph
        net: Any = finetune(prepare(model), task, recipe, after_step=freeze, **soft)
    net.freeze()
    return net
