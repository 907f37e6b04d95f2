"""Teachers: networks, or outputs of networks on the training items, that a student is trained on beside the labels."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from edgebook import lock
from edgebook.errors import BadInput, one_line
from edgebook.tasks.task import Task
from edgebook.training.loop import infer, pick_device
from edgebook.training.losses import Loss, SoftLoss, taught_loss
from edgebook.training.recipe import Recipe
from edgebook.training.store import cached_tensor

Teacher = nn.Module | Sequence[nn.Module] | Tensor  # one network, several whose mean outputs count, or outputs (n, ...)


def mean_outputs(model: nn.Module, task: Task, *, others: Sequence[nn.Module] = ()) -> Tensor:
    """Outputs on the training items, (n, ...): the model's, or the mean over it and `others`."""
    total = torch.zeros(())
    for network in (model, *others):
        with lock.training():
            total = total + infer(network, task.x_train)
    return total / (1 + len(others))


def teacher_outputs(teacher: nn.Module | Sequence[nn.Module], task: Task) -> Tensor:
    """`mean_outputs` of one network or several, computed once and kept in the store.

    They stand for the teacher in every training that leaves the items as they are, and save its forward pass there.
    """
    check_teacher(task, teacher)
    first, *others = networks_of(teacher)
    return cached_tensor(mean_outputs, first, task, others=others)


def prepare_teacher(teacher: nn.Module | Sequence[nn.Module], task: Task, recipe: Recipe) -> Teacher:
    """What to give as the teacher of trainings by this recipe: stored outputs, or the networks where the recipe augments."""
    return teacher if recipe.augment and task.augment is not None else teacher_outputs(teacher, task)


def teacher_score(teacher: nn.Module | Sequence[nn.Module], task: Task, split: str = "val") -> float:
    """The task's score of a teacher's mean outputs on a split."""
    x, y = getattr(task, f"x_{split}"), getattr(task, f"y_{split}").numpy()
    with lock.training():
        outputs = torch.stack([infer(network, x) for network in networks_of(teacher)]).mean(0).numpy()
    return task.metric.score(task.metric.item_scores(outputs, x.numpy(), y), y)


def networks_of(teacher: nn.Module | Sequence[nn.Module]) -> list[nn.Module]:
    """A teacher's networks. Raises BadInput for an empty list."""
    networks = [teacher] if isinstance(teacher, nn.Module) else list(teacher)
    if not networks:
        raise BadInput("teacher = []; allowed: at least one network")
    return networks


def with_teacher(task: Task, recipe: Recipe, *, teacher: Teacher, soft: SoftLoss, soft_weight: float) -> tuple[Task, Loss]:
    """The task and the loss to train with: soft_weight * soft + (1 - soft_weight) * (the loss on the labels).

    Without augmentation the teacher's outputs are computed once and stand beside the labels in `y_train`; with it, its
    networks see every changed item. No gradient reaches the teacher. Raises BadInput for a teacher that does not fit the
    task, for outputs with a recipe that augments, and for a weight outside [0, 1]; the loss raises it for a student whose
    outputs have another shape.
    """
    loss = taught_loss(task.kind, recipe, soft, soft_weight)
    augments = recipe.augment and task.augment is not None
    if isinstance(teacher, Tensor) and augments:
        raise BadInput("teacher: outputs of the items as they are; allowed with augment: true is a network")
    check_teacher(task, teacher)
    if augments:
        return task, _on_changed_items(teacher, loss, pick_device(recipe.device))
    if not isinstance(teacher, Tensor):
        first, *others = networks_of(teacher)
        teacher = mean_outputs(first, task, others=others)
    return _beside_labels(task, teacher, loss)


def check_teacher(task: Task, teacher: Teacher) -> None:
    """Raises BadInput, one line, for outputs of other items, or for a network that does not take the task's items."""
    if isinstance(teacher, Tensor):
        if len(teacher) != len(task.x_train):
            raise BadInput(f"teacher: outputs of {len(teacher)} items; allowed: of the {len(task.x_train)} training items")
        return
    shapes = []
    for network in networks_of(teacher):
        try:
            shapes.append(tuple(infer(network, task.x_train[:2]).shape[1:]))
        except (RuntimeError, ValueError, IndexError) as error:  # whatever a layer raises for another input
            reason = f"teacher: it does not take items of shape {task.input_shape}: {one_line(error)}"
            raise BadInput(reason) from None
    if len(set(shapes)) > 1:
        raise BadInput(f"teacher: networks with outputs of shapes {', '.join(map(str, shapes))}; allowed: all the same")


def _on_changed_items(teacher: nn.Module | Sequence[nn.Module], loss, device: torch.device) -> Loss:
    """The loss for items that are different in every epoch."""
    networks = [copy.deepcopy(network).eval().to(device) for network in networks_of(teacher)]

    def on_changed_items(model: nn.Module, x: Tensor, y: Tensor, step: int) -> Tensor:
        outputs = model(x)
        with torch.no_grad():
            targets = torch.stack([network(x) for network in networks]).mean(0)
        return loss(outputs, targets, x, y)

    return on_changed_items


def _beside_labels(task: Task, teacher: Tensor, loss) -> tuple[Task, Loss]:
    """The task with labels and teacher's outputs in one float tensor (n, k), and the loss that takes them apart again."""
    labels = task.y_train
    packed = torch.cat([labels.reshape(len(labels), -1).float(), teacher.detach().reshape(len(labels), -1).float()], 1)
    n_label = packed.shape[1] - teacher[0].numel()

    def beside_labels(model: nn.Module, x: Tensor, y: Tensor, step: int) -> Tensor:
        own = y[:, :n_label].to(labels.dtype).reshape(len(y), *labels.shape[1:])
        return loss(model(x), y[:, n_label:].reshape(len(y), *teacher.shape[1:]), x, own)

    return replace(task, y_train=packed), beside_labels
