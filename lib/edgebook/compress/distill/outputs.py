"""A small student learns the outputs of a large teacher beside the labels."""

from __future__ import annotations

from torch import nn

from edgebook.compress.distill.losses import decoupled_loss
from edgebook.tasks.task import Task
from edgebook.training.loop import train
from edgebook.training.losses import soft_loss
from edgebook.training.recipe import Recipe
from edgebook.training.teacher import Teacher, with_teacher


def distill(
    student: nn.Module,
    task: Task,
    recipe: Recipe,
    *,
    teacher: Teacher,
    temperature: float = 4.0,
    soft_weight: float = 0.5,
    nontarget_weight: float | None = None,
) -> nn.Module:
    """A trained copy of the student; `soft_weight` 0 is training on the labels alone.

    The loss is soft_weight * (the kind's soft loss to the teacher's outputs) + (1 - soft_weight) * (its loss on the labels);
    with a `nontarget_weight` the first is `decoupled_loss`. teacher: a network, several whose mean outputs count, or what
    `teacher_outputs` gave for them. Raises BadInput for a wrong argument or a teacher that does not fit, Unsupported for a
    `nontarget_weight` where there are no classes. Source: Hinton et al. 2015, Distilling the knowledge in a neural network,
    section 2.
    """
    kind = task.kind
    soft = soft_loss(kind, temperature) if nontarget_weight is None else decoupled_loss(kind, temperature, nontarget_weight)
    task, loss = with_teacher(task, recipe, teacher=teacher, soft=soft, soft_weight=soft_weight)
    return train(student, task, recipe, loss=loss)
