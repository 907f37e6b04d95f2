"""How channels are ranked: Torch-Pruning's importances, and the gradients that some of them need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch_pruning as tp
from torch import nn

from edgebook import lock
from edgebook.compress.prune import IMPORTANCES
from edgebook.compress.prune.dependency_groups import Ranking, channel_groups, make_pruner
from edgebook.compress.prune.removable import no_channels, refusals
from edgebook.errors import Unsupported
from edgebook.models.batch_norm import has_batch_norm
from edgebook.registry import pick
from edgebook.tasks.task import Task, draw_items

N_ITEMS = 256  # training items behind a gradient


@dataclass(frozen=True)
class Importance:
    """A Torch-Pruning importance and what it needs: gradients of the loss (their mean, or the mean of their squares per item),
    or batch norm in the network.
    """

    make: Callable[[], tp.importance.Importance]
    gradients: Literal["none", "mean", "mean of squares"] = "none"
    needs_batch_norm: bool = False


def rank_channels(model: nn.Module, task: Task, *, importance: str, seed: int = 0) -> Ranking:
    """The importance of every channel of every group that can be pruned (`removable`). The model's gradients are cleared.

    Raises BadInput for an unknown importance, Unsupported for one that needs batch norm in a network without, and for a
    network of which no channels can be removed.
    """
    rule: Importance = pick(IMPORTANCES, importance, "importance")
    if rule.needs_batch_norm and not has_batch_norm(model):
        raise Unsupported(f"importance {importance!r} needs batch norm, which {type(model).__name__} lacks", code="structure")
    refused = refusals(model, task.input_shape)
    torch.manual_seed(seed)
    pruner = make_pruner(model, task.input_shape, importance=rule.make())
    if rule.gradients != "none":
        with lock.training():
            accumulate_gradients(model, task, squared=rule.gradients == "mean of squares", seed=seed)
    removable = {name: group for name, group in channel_groups(pruner).items() if name not in refused}
    groups = {name: (group, pruner.estimate_importance(group)) for name, group in removable.items()}
    model.zero_grad(set_to_none=True)
    ranked = {name: (group, scores) for name, (group, scores) in groups.items() if scores is not None}
    if not ranked:
        raise Unsupported(no_channels(refused), code="structure")
    return Ranking(
        scores={name: scores.detach() for name, (_, scores) in ranked.items()},
        surroundings={name: " ".join(_connection(pruner, dep) for dep, _ in group) for name, (group, _) in ranked.items()},
    )


def accumulate_gradients(model: nn.Module, task: Task, *, squared: bool, seed: int) -> None:
    """Leave in `.grad` the mean over training items of the loss's gradient, or of its square per item."""
    items = draw_items(len(task.x_train), N_ITEMS, seed)
    parameters = list(model.parameters())
    total = [torch.zeros_like(parameter) for parameter in parameters]
    for part in items.split(1 if squared else len(items)):
        x, y = task.x_train[part], task.y_train[part]
        gradients = torch.autograd.grad(task.kind.loss(model(x), x, y, 0.0), parameters, allow_unused=True)
        for sum_, gradient in zip(total, gradients, strict=True):
            if gradient is not None:
                sum_ += gradient.square() if squared else gradient
    for parameter, sum_ in zip(parameters, total, strict=True):
        parameter.grad = sum_ / (len(items) if squared else 1)


def _connection(pruner: Any, dep: Any) -> str:
    """`Conv2d.out`: a layer of a group, and on which of its sides the channels are."""
    side = "out" if pruner.DG.is_out_channel_pruning_fn(dep.handler) else "in"
    return f"{type(dep.target.module).__name__}.{side}"


BN_SCALE = Importance(tp.importance.BNScaleImportance, needs_batch_norm=True)  # Liu et al. 2017, Network slimming
FPGM = Importance(tp.importance.FPGMImportance)  # He et al. 2019: the filters nearest to all others are removed
HESSIAN = Importance(tp.importance.GroupHessianImportance, "mean of squares")  # LeCun et al. 1989, Optimal brain damage
L1 = Importance(lambda: tp.importance.GroupMagnitudeImportance(p=1))
L2 = Importance(lambda: tp.importance.GroupMagnitudeImportance(p=2))
LAMP = Importance(tp.importance.LAMPImportance)  # Lee et al. 2021
RANDOM = Importance(tp.importance.RandomImportance)  # the control
TAYLOR = Importance(tp.importance.GroupTaylorImportance, "mean")  # Molchanov et al. 2019
