"""Structured pruning: whole channels go, so that every kernel gets smaller. Torch-Pruning does the graph work."""

from __future__ import annotations

import copy

import torch
import torch_pruning as tp
from torch import nn

from edgebook.errors import BadInput, pick
from edgebook.models.counts import count_params
from edgebook.tasks import Task

IMPORTANCES = {
    "l1": lambda: tp.importance.GroupMagnitudeImportance(p=1),
    "l2": lambda: tp.importance.GroupMagnitudeImportance(p=2),
    "random": tp.importance.RandomImportance,
}


def prune(
    model: nn.Module, task: Task, *, pruning_ratio: float, importance: str = "l2", round_to: int = 8, seed: int = 0
) -> nn.Module:
    """A copy without the `pruning_ratio` least important channels of every layer, not yet fine-tuned.

    Kept channel counts are multiples of `round_to` where a layer has that many: kernels like multiples. The layer that
    gives the outputs keeps them all. Raises BadInput for an unknown importance or a ratio outside [0, 1), RuntimeError
    when nothing of it could be removed. Source: Fang et al. 2023, DepGraph (Torch-Pruning).
    """
    make_importance = pick(IMPORTANCES, importance, "importance")
    if not 0 <= pruning_ratio < 1:
        raise BadInput(f"pruning_ratio = {pruning_ratio}; allowed: 0 <= ratio < 1")
    pruned = copy.deepcopy(model)
    if pruning_ratio == 0:
        return pruned
    torch.manual_seed(seed)
    example = torch.zeros(1, *task.input_shape)
    tp.pruner.BasePruner(
        pruned, example, importance=make_importance(), pruning_ratio=pruning_ratio, round_to=round_to,
        ignored_layers=[output_layer(pruned, example)],
    ).step()  # fmt: skip
    if count_params(pruned) == count_params(model):
        raise RuntimeError(f"nothing was removed: no layer can lose {pruning_ratio:.0%} and keep a multiple of {round_to}")
    pruned.zero_grad(set_to_none=True)
    return pruned.eval()


def output_layer(model: nn.Module, example: torch.Tensor) -> nn.Module:
    """The last layer with weights that runs: its outputs are the classes."""
    last: list[nn.Module] = []
    layers = [m for m in model.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(lambda module, *_: last.append(module)) for layer in layers]
    with torch.inference_mode():
        model.eval()(example)
    for hook in hooks:
        hook.remove()
    return last[-1]
