"""Losses in the shape that `train` takes: (model, x, y, step) -> scalar. What labels, teachers and penalties have in common."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from edgebook.errors import BadInput
from edgebook.tasks.kinds import Kind
from edgebook.training.recipe import Recipe

Loss = Callable[[nn.Module, Tensor, Tensor, int], Tensor]


def hard_loss(kind: Kind, recipe: Recipe) -> Loss:
    """The kind's own loss on the labels, with the recipe's label smoothing."""
    return lambda model, x, y, step: kind.loss(model(x), x, y, recipe.label_smoothing)


def taught_loss(
    teacher: nn.Module, kind: Kind, recipe: Recipe, *, soft_weight: float, temperature: float = 4.0, device: torch.device
) -> Loss:
    """soft_weight * (the kind's soft loss to the teacher's outputs) + (1 - soft_weight) * (its loss on the labels).

    The teacher is copied to the device, and no gradient reaches it. Raises BadInput for a temperature of 0 or less, or a
    weight outside [0, 1]. Source: Hinton et al. 2015, section 2.
    """
    if temperature <= 0:
        raise BadInput(f"temperature = {temperature}; allowed: > 0")
    if not 0 <= soft_weight <= 1:
        raise BadInput(f"soft_weight = {soft_weight}; allowed: 0 to 1")
    teacher = copy.deepcopy(teacher).eval().to(device)

    def loss(model: nn.Module, x: Tensor, y: Tensor, step: int) -> Tensor:
        outputs = model(x)
        with torch.no_grad():
            targets = teacher(x)
        soft = kind.soft_loss(outputs, targets, temperature)
        return soft_weight * soft + (1 - soft_weight) * kind.loss(outputs, x, y, recipe.label_smoothing)

    return loss
