"""Distillation: a small student learns a big teacher's outputs beside the labels."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgebook.errors import BadInput
from edgebook.tasks import Task
from edgebook.train import pick_device, train


def distill(
    student: nn.Module, task: Task, *, teacher: nn.Module, temperature: float = 4.0, soft_weight: float = 0.5, **recipe
) -> nn.Module:
    """A trained copy of the student; `recipe` goes to `train`. soft_weight 0 is plain training.

    loss = soft_weight * T^2 * KL(teacher / T || student / T) + (1 - soft_weight) * cross entropy
    Raises BadInput for a temperature of 0 or less, or a weight outside [0, 1]. Source: Hinton et al. 2015, section 2.
    """
    if temperature <= 0:
        raise BadInput(f"temperature = {temperature}; allowed: > 0")
    if not 0 <= soft_weight <= 1:
        raise BadInput(f"soft_weight = {soft_weight}; allowed: 0 to 1")
    teacher = copy.deepcopy(teacher).eval().to(pick_device(recipe.get("device", "auto")))

    def loss(model: nn.Module, x: Tensor, y: Tensor, step: int) -> Tensor:
        own = model(x)
        with torch.no_grad():
            taught = teacher(x)
        return soft_weight * soft_loss(own, taught, temperature) + (1 - soft_weight) * F.cross_entropy(own, y)

    return train(student, task, loss=loss, **recipe)


def soft_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 * KL(softmax(teacher / T) || softmax(student / T)), mean over items; logits are (n, n_outputs)."""
    own, taught = F.log_softmax(student / temperature, 1), F.log_softmax(teacher / temperature, 1)
    return F.kl_div(own, taught, reduction="batchmean", log_target=True) * temperature**2
