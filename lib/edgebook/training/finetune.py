"""Learning from a teacher's outputs beside the labels: what distillation, pruning and quantized training share."""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgebook.errors import BadInput
from edgebook.tasks import Task
from edgebook.training.loop import Loss, pick_device, train


def taught(
    teacher: nn.Module, *, soft_weight: float, temperature: float = 4.0, label_smoothing: float = 0.0, device: str = "auto"
) -> Loss:  # fmt: skip
    """A loss for `train`: soft_weight * T^2 * KL(teacher / T || model / T) + (1 - soft_weight) * cross entropy.

    `label_smoothing` is the cross entropy's. The teacher is copied to the device. Raises BadInput for a temperature of 0 or
    less, or a weight outside [0, 1]. Source: Hinton et al. 2015, section 2.
    """
    if temperature <= 0:
        raise BadInput(f"temperature = {temperature}; allowed: > 0")
    if not 0 <= soft_weight <= 1:
        raise BadInput(f"soft_weight = {soft_weight}; allowed: 0 to 1")
    teacher = copy.deepcopy(teacher).eval().to(pick_device(device))

    def loss(model: nn.Module, x: Tensor, y: Tensor, step: int) -> Tensor:
        own = model(x)
        with torch.no_grad():
            hints = teacher(x)
        hard = F.cross_entropy(own, y, label_smoothing=label_smoothing)
        return soft_weight * soft_loss(own, hints, temperature) + (1 - soft_weight) * hard

    return loss


def soft_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 * KL(softmax(teacher / T) || softmax(student / T)), mean over items; logits are (n, n_outputs)."""
    own, hints = F.log_softmax(student / temperature, 1), F.log_softmax(teacher / temperature, 1)
    return F.kl_div(own, hints, reduction="batchmean", log_target=True) * temperature**2


def finetune(
    model: nn.Module, task: Task, *, teacher: nn.Module | None, soft_weight: float = 0.0, **recipe: Any
) -> nn.Module:  # fmt: skip
    """A trained copy; with a `soft_weight` above 0 the outputs of the `teacher`, the net before it was compressed, get that
    share of the loss. `recipe` goes to `train`. Raises BadInput for a soft_weight without a teacher.
    """
    if soft_weight and teacher is None:
        raise BadInput(f"soft_weight = {soft_weight} needs a teacher")
    loss = taught(teacher, soft_weight=soft_weight, **of_recipe(recipe)) if soft_weight else None
    return train(model, task, loss=loss, **recipe)


def of_recipe(recipe: dict[str, Any]) -> dict[str, Any]:
    """What `taught` needs to know of a recipe of `train`."""
    return {"label_smoothing": recipe.get("label_smoothing", 0.0), "device": recipe.get("device", "auto")}
