"""Sparse learning: training that drives whole channels towards zero, so that pruning them afterwards costs less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch_pruning as tp
from torch import nn

from edgebook.compress.prune import REGULARIZERS
from edgebook.compress.prune.dependency_groups import make_pruner
from edgebook.errors import BadInput, Unsupported
from edgebook.models.batch_norm import has_batch_norm
from edgebook.registry import pick
from edgebook.tasks.task import Task
from edgebook.training.loop import train
from edgebook.training.recipe import Recipe


@dataclass(frozen=True)
class Regularizer:
    """A Torch-Pruning pruner that regularizes. grows: the strength rises with training for unimportant channels."""

    pruner: type
    needs_batch_norm: bool = False
    grows: bool = False


def sparse_train(
    model: nn.Module, task: Task, recipe: Recipe, *, regularizer: str, reg: float = 1e-4, frequency: int = 50
) -> nn.Module:
    """A copy of the same shape, trained with a penalty on whole channels; `prune` comes after it. The last epoch is kept.

    reg: strength of the penalty, added to the gradients; where the regularizer grows, it is also what the strength of an
    unimportant channel rises by every `frequency` steps. Raises BadInput for an unknown regularizer or a strength of 0 or
    less, Unsupported for a regularizer of batch norm in a network without.
    """
    rule: Regularizer = pick(REGULARIZERS, regularizer, "regularizer")
    if reg <= 0:
        raise BadInput(f"reg = {reg}; allowed: > 0")
    if rule.needs_batch_norm and not has_batch_norm(model):
        raise Unsupported(f"regularizer {regularizer!r} needs batch norm, which {type(model).__name__} lacks", code="structure")
    pruners: list[Any] = []  # one, made of the copy that `train` trains

    def penalise(net: nn.Module, step: int) -> None:
        if not pruners:
            pruners.append(_pruner(rule, net, task, reg))
        if rule.grows and step % frequency == frequency - 1:
            pruners[0].update_reg()
        pruners[0].regularize(net)
        if rule.grows:
            _penalise_batch_norm(pruners[0])

    return train(model, task, recipe, before_step=penalise, keep="last")


def _pruner(rule: Regularizer, net: nn.Module, task: Task, reg: float) -> Any:
    norms, rise = tp.importance.GroupMagnitudeImportance(), {"delta_reg": reg} if rule.grows else {}
    pruner = make_pruner(net, task.input_shape, kind=rule.pruner, importance=norms, reg=reg, **rise)
    pruner.update_regularizer()
    return pruner


def _penalise_batch_norm(pruner: Any) -> None:
    """The penalty on batch norm's scales, which growing_reg of Torch-Pruning 1.6 adds to a copy of their gradients."""
    for group, strength in pruner.group_reg.items():
        for number, (dep, channels) in enumerate(group):
            layer = dep.layer
            if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.weight is not None and layer.weight.grad is not None:
                per_channel = strength[group[number].root_idxs].to(layer.weight.device)
                layer.weight.grad[channels] += per_channel * layer.weight.data[channels]


BN_SCALE = Regularizer(tp.pruner.BNScalePruner, needs_batch_norm=True)  # L1 on batch norm's scales: Liu et al. 2017
GROUP_NORM = Regularizer(tp.pruner.GroupNormPruner)  # norms of whole groups: Fang et al. 2023, DepGraph
GROWING_REG = Regularizer(tp.pruner.GrowingRegPruner, grows=True)  # Wang et al. 2021, Neural pruning via growing regularization
