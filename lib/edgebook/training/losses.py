"""Losses in the shape that `train` takes: (model, x, y, step) -> scalar. What labels, teachers and penalties have in common."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from edgebook.errors import BadInput
from edgebook.tasks.kinds import Kind
from edgebook.training.recipe import Recipe

Loss = Callable[[nn.Module, Tensor, Tensor, int], Tensor]
SoftLoss = Callable[[Tensor, Tensor, Tensor], Tensor]  # (student outputs, teacher outputs, labels) -> scalar


def hard_loss(kind: Kind, recipe: Recipe) -> Loss:
    """The kind's own loss on the labels, with the recipe's label smoothing."""
    return lambda model, x, y, step: kind.loss(model(x), x, y, recipe.label_smoothing)


def soft_loss(kind: Kind, temperature: float) -> SoftLoss:
    """The kind's soft loss; labels are not used. Raises BadInput for a temperature of 0 or less.

    Source: Hinton et al. 2015, Distilling the knowledge in a neural network, section 2.
    """
    if temperature <= 0:
        raise BadInput(f"temperature = {temperature}; allowed: > 0")
    return lambda outputs, targets, y: kind.soft_loss(outputs, targets, temperature)


def taught_loss(kind: Kind, recipe: Recipe, soft: SoftLoss, soft_weight: float) -> Callable[..., Tensor]:
    """(outputs, targets, x, y) -> soft_weight * soft(outputs, targets, y) + (1 - soft_weight) * (the loss on the labels).

    Raises BadInput for a weight outside [0, 1]; the loss raises it for outputs and targets of different shapes.
    """
    if not 0 <= soft_weight <= 1:
        raise BadInput(f"soft_weight = {soft_weight}; allowed: 0 to 1")

    def loss(outputs: Tensor, targets: Tensor, x: Tensor, y: Tensor) -> Tensor:
        if outputs.shape != targets.shape:
            shapes = f"outputs of shape {tuple(targets.shape[1:])}; allowed: {tuple(outputs.shape[1:])}, as the student's"
            raise BadInput(f"teacher: {shapes}")
        hard = kind.loss(outputs, x, y, recipe.label_smoothing)
        return soft_weight * soft(outputs, targets, y) + (1 - soft_weight) * hard

    return loss
