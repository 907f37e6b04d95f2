"""Distillation: a small student learns a big teacher's outputs beside the labels."""

from __future__ import annotations

from torch import nn

from edgebook.tasks import Task
from edgebook.training.finetune import of_recipe, taught
from edgebook.training.loop import train


def distill(
    student: nn.Module, task: Task, *, teacher: nn.Module, temperature: float = 4.0, soft_weight: float = 0.5, **recipe
) -> nn.Module:
    """A trained copy of the student; `recipe` goes to `train`, the loss is `taught`'s. soft_weight 0 is plain training.

    Raises BadInput for a temperature of 0 or less, or a weight outside [0, 1]. Source: Hinton et al. 2015, section 2.
    """
    loss = taught(teacher, soft_weight=soft_weight, temperature=temperature, **of_recipe(recipe))
    return train(student, task, loss=loss, **recipe)
