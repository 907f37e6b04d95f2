"""A student learns what its teacher computes in inner layers: hints through a learned projection, attention maps."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from edgebook.compress.distill.losses import attention_loss, hint_loss, same_size
from edgebook.errors import BadInput
from edgebook.tasks.task import Task
from edgebook.training.loop import pick_device, seed_all, train
from edgebook.training.losses import Loss, hard_loss, soft_loss
from edgebook.training.recipe import Recipe
from edgebook.training.teacher import with_teacher


class Projected(nn.Module):
    """A student, and for each pair of layers the projection of its channels to the teacher's: both are trained."""

    def __init__(self, student: nn.Module, projections: list[nn.Module]):
        super().__init__()
        self.student = student
        self.projections = nn.ModuleList(projections)

    def forward(self, x: Tensor) -> Tensor:
        return self.student(x)


def distill_features(
    student: nn.Module,
    task: Task,
    recipe: Recipe,
    *,
    teacher: nn.Module,
    layers: dict[str, str],
    hint_weight: float = 0.0,
    attention_weight: float = 0.0,
    soft_weight: float = 0.0,
    temperature: float = 4.0,
) -> nn.Module:
    """A trained copy of the student, whose layers imitate the teacher's.

    layers: names of the student's layers -> names of the teacher's. The loss of `distill` is joined by hint_weight *
    `hint_loss` (of linearly projected channels) + attention_weight * `attention_loss` over all pairs; all are trained
    together. Raises BadInput for a layer that does not exist or gives no features, a negative weight, or as `distill` does.
    Sources: Romero et al. 2015, FitNets; Zagoruyko and Komodakis 2017, Paying more attention to attention.
    """
    for name, weight in {"hint_weight": hint_weight, "attention_weight": attention_weight}.items():
        if weight < 0:
            raise BadInput(f"{name} = {weight}; allowed: 0 or more")
    pairs = _pairs(student, teacher, task, layers, places=bool(attention_weight))
    seed_all(recipe.seed)
    projected = Projected(student, [nn.Linear(own.shape[1], others.shape[1]) for own, others in pairs])
    given, loss = task, hard_loss(task.kind, recipe)
    if soft_weight:
        soft = soft_loss(task.kind, temperature)
        given, loss = with_teacher(task, recipe, teacher=teacher, soft=soft, soft_weight=soft_weight)
    net = copy.deepcopy(teacher).eval().to(pick_device(recipe.device))
    trained: Any = train(projected, given, recipe, loss=_with_features(loss, net, layers, hint_weight, attention_weight))
    trained.student.history = trained.history
    return trained.student


def _with_features(loss: Loss, teacher: nn.Module, layers: dict[str, str], hint_weight: float, attention_weight: float) -> Loss:
    """`loss` and what the pairs of layers add to it."""

    def with_features(model: nn.Module, x: Tensor, y: Tensor, step: int) -> Tensor:
        with recorded(model.student, layers) as own:
            value = loss(model, x, y, step)
        with torch.no_grad(), recorded(teacher, layers.values()) as others:
            teacher(x)
        for projection, (name, other) in zip(model.projections, layers.items(), strict=True):
            features, wanted = own[name], others[other]
            hint = hint_loss(projection(features.movedim(1, -1)).movedim(-1, 1), wanted) if hint_weight else 0.0
            attention = attention_loss(features, wanted) if attention_weight else 0.0
            value = value + hint_weight * hint + attention_weight * attention
        return value

    return with_features


@contextmanager
def recorded(model: nn.Module, layers: Iterable[str]) -> Iterator[dict[str, Tensor]]:
    """Layer name -> its output of the last forward inside the block."""
    outputs: dict[str, Tensor] = {}

    def keep(name: str):
        def hook(module, inputs, output) -> None:
            outputs[name] = output

        return hook

    handles = [model.get_submodule(name).register_forward_hook(keep(name)) for name in layers]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def _pairs(
    student: nn.Module, teacher: nn.Module, task: Task, layers: dict[str, str], *, places: bool
) -> list[tuple[Tensor, Tensor]]:
    """The features of both layers of each pair, for two items. Raises BadInput where they cannot be compared."""
    if not layers:
        raise BadInput("layers = {}; allowed: at least one of the student's layers -> one of the teacher's")
    own = _features("student", student, task, layers)
    others = _features("teacher", teacher, task, layers.values())
    pairs = [(own[name], others[other]) for name, other in layers.items()]
    for (name, _), pair in zip(layers.items(), pairs, strict=True):
        same_size(*pair)
        if places and pair[0].ndim < 3:
            raise BadInput(f"layers: {name!r} gives one number per channel; allowed with attention_weight: feature maps")
    return pairs


def _features(what: str, model: nn.Module, task: Task, names: Iterable[str]) -> dict[str, Tensor]:
    known = [name for name, _ in model.named_modules() if name]
    if unknown := [name for name in names if name not in known]:
        raise BadInput(f"layers: {what} has no layer {', '.join(map(repr, unknown))}; it has: {', '.join(known)}")
    probe = copy.deepcopy(model).cpu().eval()
    with torch.no_grad(), recorded(probe, names) as features:
        probe(task.x_train[:2])
    for name in names:
        output = features.get(name)
        if not isinstance(output, Tensor) or output.ndim < 2:
            raise BadInput(f"layers: {name!r} of the {what} gives no features (items, channels, ...)")
    return features
