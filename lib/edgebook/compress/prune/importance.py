"""What says which channels go: Torch-Pruning's importances, and the gradients that some of them need."""

from __future__ import annotations

import torch
import torch.nn.functional as F
import torch_pruning as tp
from torch import Tensor, nn

from edgebook import lock
from edgebook.compress.prune.dependency_groups import channel_groups, pruner
from edgebook.errors import BadInput, pick
from edgebook.tasks import Task

IMPORTANCES = {
    "bn_scale": tp.importance.BNScaleImportance,  # Liu et al. 2017, Network slimming
    "fpgm": tp.importance.FPGMImportance,  # He et al. 2019: the filters nearest to all others
    "hessian": tp.importance.GroupHessianImportance,  # LeCun et al. 1989, Optimal brain damage
    "l1": lambda: tp.importance.GroupMagnitudeImportance(p=1),
    "l2": lambda: tp.importance.GroupMagnitudeImportance(p=2),
    "lamp": tp.importance.LAMPImportance,  # Lee et al. 2021
    "random": tp.importance.RandomImportance,  # the control
    "taylor": tp.importance.GroupTaylorImportance,  # Molchanov et al. 2019
}
N_ITEMS = 256  # training items behind a gradient


def channel_scores(model: nn.Module, task: Task, *, importance: str, seed: int = 0) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The importance of every channel (n channels a group), by the group's name, and what surrounds each group.

    Raises BadInput for an unknown importance, or for bn_scale on a net without batch norm.
    """
    if importance == "bn_scale" and not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules()):
        others = ", ".join(sorted(IMPORTANCES.keys() - {"bn_scale"}))
        raise BadInput(f"importance = 'bn_scale' needs batch norm, and {type(model).__name__} has none; allowed: {others}")
    torch.manual_seed(seed)
    score = pick(IMPORTANCES, importance, "importance")()
    made = pruner(model, task.input_shape, importance=score)
    if importance in ("taylor", "hessian"):
        with lock.training():
            _gradients(model, task, squared=importance == "hessian", seed=seed)
    groups = {name: (group, made.estimate_importance(group)) for name, group in channel_groups(made).items()}
    model.zero_grad(set_to_none=True)
    known = {name: (group, own) for name, (group, own) in groups.items() if own is not None}
    kinds = {name: " ".join(_kind(made, dep) for dep, _ in group) for name, (group, _) in known.items()}
    return {name: own.detach() for name, (_, own) in known.items()}, kinds


def _gradients(model: nn.Module, task: Task, *, squared: bool, seed: int) -> None:
    """Leave in `.grad` the loss's gradient over training items, or the mean of its squares item by item."""
    items = torch.randperm(len(task.x_train), generator=torch.Generator().manual_seed(seed))[:N_ITEMS]
    total = [torch.zeros_like(p) for p in model.parameters()]
    for part in items.split(1 if squared else len(items)):
        loss = F.cross_entropy(model(task.x_train[part]), task.y_train[part])
        own = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
        for sum_, gradient in zip(total, own, strict=True):
            if gradient is not None:
                sum_ += gradient.square() if squared else gradient
    for parameter, sum_ in zip(model.parameters(), total, strict=True):
        parameter.grad = sum_ / (len(items) if squared else 1)


def _kind(made, dep) -> str:
    side = "out" if made.DG.is_out_channel_pruning_fn(dep.handler) else "in"
    return f"{type(dep.target.module).__name__}.{side}"
