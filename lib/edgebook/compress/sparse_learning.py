"""Training that drives whole channels towards zero, so that pruning them afterwards costs less."""

from __future__ import annotations

from typing import Any

import torch_pruning as tp
from torch import nn

from edgebook.compress.groups import pruner
from edgebook.errors import BadInput, pick
from edgebook.tasks import Task
from edgebook.train import train

REGULARIZERS = {
    "bn_scale": tp.pruner.BNScalePruner,  # L1 on batch norm's scales: Liu et al. 2017, Network slimming
    "group_norm": tp.pruner.GroupNormPruner,  # norms of whole groups: Fang et al. 2023, DepGraph
    "growing_reg": tp.pruner.GrowingRegPruner,  # the unimportant pay more and more: Wang et al. 2021
}


def sparse_train(
    model: nn.Module, task: Task, *, regularizer: str, reg: float = 1e-4, frequency: int = 50, **recipe: Any
) -> nn.Module:
    """A copy of the same shape, trained by `recipe` (of `train`) with a pull on whole channels; `prune` comes after it.

    reg: strength, added to the gradients. frequency: steps between two rises of growing_reg. Raises BadInput for an unknown
    regularizer, a strength of 0 or less, or bn_scale on a net without batch norm.
    """
    kind = pick(REGULARIZERS, regularizer, "regularizer")
    if reg <= 0:
        raise BadInput(f"reg = {reg}; allowed: > 0")
    if regularizer == "bn_scale" and not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules()):
        raise BadInput(f"regularizer = 'bn_scale' needs batch norm, and {type(model).__name__} has none")
    made: dict[nn.Module, Any] = {}

    def pull(net: nn.Module, step: int) -> None:
        if not made:  # the net that is trained is a copy which exists only now; gradients are put back after the look at it
            made[net] = pruner(net, task.input_shape, kind=kind, importance=tp.importance.GroupMagnitudeImportance(), reg=reg)
            made[net].update_regularizer()
        if regularizer == "growing_reg" and step % frequency == frequency - 1:
            made[net].update_reg()
        made[net].regularize(net)

    return train(model, task, before_step=pull, **recipe | {"keep": "last"})
