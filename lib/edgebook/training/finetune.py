"""Training after compression, where wanted with the uncompressed network as the teacher."""

from __future__ import annotations

from torch import nn

from edgebook.errors import BadInput
from edgebook.tasks.task import Task
from edgebook.training.loop import Hook, train
from edgebook.training.losses import soft_loss
from edgebook.training.recipe import Recipe
from edgebook.training.teacher import Teacher, with_teacher


def finetune(
    model: nn.Module,
    task: Task,
    recipe: Recipe,
    *,
    teacher: Teacher | None = None,
    soft_weight: float = 0.0,
    temperature: float = 4.0,
    before_step: Hook | None = None,
    after_step: Hook | None = None,
    keep: str = "best",
) -> nn.Module:
    """A trained copy; with a `soft_weight` above 0 the outputs of the teacher get that share of the loss.

    The other arguments are those of `train`. Raises BadInput for a soft_weight without a teacher, a temperature of 0 or
    less, and as `with_teacher` does.
    """
    loss = None
    if soft_weight and teacher is None:
        raise BadInput(f"soft_weight = {soft_weight} needs a teacher")
    if soft_weight:
        soft = soft_loss(task.kind, temperature)
        task, loss = with_teacher(task, recipe, teacher=teacher, soft=soft, soft_weight=soft_weight)
    return train(model, task, recipe, loss=loss, before_step=before_step, after_step=after_step, keep=keep)
