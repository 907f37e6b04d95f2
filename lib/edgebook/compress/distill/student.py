"""Distillation: a small student learns the outputs of a large teacher beside the labels."""

from __future__ import annotations

from torch import nn

from edgebook.tasks.task import Task
from edgebook.training.finetune import finetune
from edgebook.training.recipe import Recipe


def distill(
    student: nn.Module, task: Task, recipe: Recipe, *, teacher: nn.Module, temperature: float = 4.0, soft_weight: float = 0.5
) -> nn.Module:
    """A trained copy of the student; `soft_weight` 0 is training on the labels alone.

    Raises BadInput for a temperature of 0 or less, or a weight outside [0, 1]. Source: Hinton et al. 2015, Distilling the
    knowledge in a neural network, section 2.
    """
    return finetune(student, task, recipe, teacher=teacher, soft_weight=soft_weight, temperature=temperature)
