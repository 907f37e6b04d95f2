"""Training that drives whole channels towards zero, so that pruning them afterwards costs less."""

from __future__ import annotations

from typing import Any

import torch_pruning as tp
from torch import nn

from edgebook.compress.prune.dependency_groups import pruner
from edgebook.errors import BadInput, pick
from edgebook.tasks import Task
from edgebook.training.loop import train

REGULARIZERS = {
    "bn_scale": tp.pruner.BNScalePruner,  # L1 on batch norm's scales: Liu et al. 2017, Network slimming
    "group_norm": tp.pruner.GroupNormPruner,  # norms of whole groups: Fang et al. 2023, DepGraph
    "growing_reg": tp.pruner.GrowingRegPruner,  # the unimportant pay more and more: Wang et al. 2021
}


def sparse_train(
    model: nn.Module, task: Task, *, regularizer: str, reg: float = 1e-4, frequency: int = 50, **recipe: Any
) -> nn.Module:
    """A copy of the same shape, trained by `recipe` (of `train`) with a pull on whole channels; `prune` comes after it.

    reg: strength of the pull, added to the gradients; with growing_reg it is also what an unimportant channel's strength
    rises by, every `frequency` steps. Raises BadInput for an unknown regularizer, a strength of 0 or less, or bn_scale on a
    net without batch norm.
    """
    kind = pick(REGULARIZERS, regularizer, "regularizer")
    if reg <= 0:
        raise BadInput(f"reg = {reg}; allowed: > 0")
    if regularizer == "bn_scale" and not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules()):
        raise BadInput(f"regularizer = 'bn_scale' needs batch norm, and {type(model).__name__} has none")
    made: dict[nn.Module, Any] = {}
    growing = regularizer == "growing_reg"

    def pull(net: nn.Module, step: int) -> None:
        if not made:  # the net that is trained is a copy which exists only now; gradients are put back after the look at it
            norms, rise = tp.importance.GroupMagnitudeImportance(), {"delta_reg": reg} if growing else {}
            made[net] = pruner(net, task.input_shape, kind=kind, importance=norms, reg=reg, **rise)
            made[net].update_regularizer()
        if growing and step % frequency == frequency - 1:
            made[net].update_reg()
        made[net].regularize(net)
        if growing:
            _pull_batch_norm(made[net])

    return train(model, task, before_step=pull, **recipe | {"keep": "last"})


def _pull_batch_norm(made: Any) -> None:
    """The pull on batch norm's scales that Torch-Pruning 1.6's growing_reg adds to a copy of their gradients."""
    for group, strength in made.group_reg.items():
        for number, (dep, channels) in enumerate(group):
            layer = dep.layer
            if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.weight is not None and layer.weight.grad is not None:
                own = strength[group[number].root_idxs].to(layer.weight.device)
                layer.weight.grad[channels] += own * layer.weight.data[channels]
