"""Training after compression, where wanted with the uncompressed network as the teacher."""

from __future__ import annotations

from torch import nn

from edgebook.errors import BadInput
from edgebook.tasks.task import Task
from edgebook.training.loop import Hook, pick_device, train
from edgebook.training.losses import Loss, taught_loss
from edgebook.training.recipe import Recipe


def finetune(
    model: nn.Module,
    task: Task,
    recipe: Recipe,
    *,
    teacher: nn.Module | None = None,
    soft_weight: float = 0.0,
    temperature: float = 4.0,
    before_step: Hook | None = None,
    after_step: Hook | None = None,
    keep: str = "best",
) -> nn.Module:
    """A trained copy; with a `soft_weight` above 0 the outputs of the teacher get that share of the loss.

    The other arguments are those of `train`. Raises BadInput for a soft_weight without a teacher.
    """
    loss = loss_with_teacher(teacher, task, recipe, soft_weight=soft_weight, temperature=temperature)
    return train(model, task, recipe, loss=loss, before_step=before_step, after_step=after_step, keep=keep)


def loss_with_teacher(
    teacher: nn.Module | None, task: Task, recipe: Recipe, *, soft_weight: float, temperature: float = 4.0
) -> Loss | None:
    """The loss that listens to a teacher, or None (the loss on labels alone) for a soft_weight of 0.

    Raises BadInput for a soft_weight without a teacher.
    """
    if not soft_weight:
        return None
    if teacher is None:
        raise BadInput(f"soft_weight = {soft_weight} needs a teacher")
    device = pick_device(recipe.device)
    return taught_loss(teacher, task.kind, recipe, soft_weight=soft_weight, temperature=temperature, device=device)
