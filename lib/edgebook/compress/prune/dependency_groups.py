"""What pruning and its relatives share: which channels go together, by Torch-Pruning's dependency graph."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
import torch_pruning as tp
from torch import Tensor, nn

from edgebook.errors import BadInput
from edgebook.models.macs import count_macs, count_params

SCOPES = ("uniform", "global", "isomorphic")  # channels ranked in every layer, over all, over layers of like surroundings
LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear)


def output_layer(model: nn.Module, example: torch.Tensor) -> nn.Module:
    """The last layer with weights that runs: its outputs are the classes."""
    last: list[nn.Module] = []
    layers = [m for m in model.modules() if isinstance(m, LAYERS)]
    hooks = [layer.register_forward_hook(lambda module, *_: last.append(module)) for layer in layers]
    with torch.inference_mode():
        model.eval()(example)
    for hook in hooks:
        hook.remove()
    return last[-1]


def pruner(model: nn.Module, input_shape: tuple[int, ...], *, kind: type = tp.pruner.BasePruner, **arguments: Any):
    """A Torch-Pruning pruner on this very model that leaves the outputs alone; the model's mode is put back."""
    if any(isinstance(module, nn.RNNBase) for module in model.modules()):
        raise BadInput("prune takes convolutions and dense layers; for a GRU or LSTM use compress.recurrent.prune_units")
    was_training, device = model.training, next(model.parameters()).device
    example = torch.zeros(1, *input_shape, device=device)
    made = kind(model, example, ignored_layers=[output_layer(model, example)], **arguments)
    model.train(was_training)
    return made


def channel_groups(made) -> dict[str, Any]:
    """Torch-Pruning's groups by the name of the layer that stands for each: channels that can only go together."""
    names = {module: name for name, module in made.model.named_modules()}
    found = made.DG.get_all_groups(ignored_layers=made.ignored_layers, root_module_types=made.root_module_types)
    return {names[group[0].dep.target.module]: group for group in found}


def prunable(model: nn.Module, input_shape: tuple[int, ...]) -> dict[str, int]:
    """Channels of every group that can be pruned, by the name of its first layer. The model stays as it is."""
    made = pruner(model, input_shape, importance=tp.importance.RandomImportance())
    return {name: len(group[0].idxs) for name, group in channel_groups(made).items()}


def remove(model: nn.Module, input_shape: tuple[int, ...], scores: dict[str, Tensor], kept: dict[str, int]) -> nn.Module:
    """A copy in which every group has its `kept` most important channels."""
    smaller = copy.deepcopy(model)
    layers = {smaller.get_submodule(name): name for name in kept}
    # half a channel more than is kept: Torch-Pruning cuts n * (1 - ratio) down to a whole number
    ratios = {layer: 1 - (kept[name] + 0.5) / len(scores[name]) for layer, name in layers.items()}
    pruner(
        smaller, input_shape, pruning_ratio=0.0, pruning_ratio_dict=ratios,
        importance=lambda group: scores.get(layers.get(group[0].dep.target.module)),
    ).step()  # fmt: skip
    smaller.zero_grad(set_to_none=True)
    return smaller.eval()


def check_rounding(round_to: int, scope: str = "uniform") -> None:
    """Raises BadInput for an unknown scope, or for less than one channel."""
    if scope not in SCOPES:
        raise BadInput(f"scope = {scope!r}; allowed: {', '.join(SCOPES)}")
    if round_to < 1:
        raise BadInput(f"round_to = {round_to}; allowed: 1 or more channels")


def channels_to_keep(
    scores: dict[str, Tensor], kinds: dict[str, str], whole: dict[str, int], ratio: float, scope: str, round_to: int
) -> dict[str, int]:
    """How many channels each group keeps when the share `ratio` of `whole` goes."""
    if scope == "uniform":
        return rounded({name: (1 - ratio) * whole[name] for name in scores}, scores, round_to)
    kept: dict[str, float] = {}
    for kind in dict.fromkeys(kinds.values() if scope == "isomorphic" else [""]):
        names = [name for name in scores if scope == "global" or kinds[name] == kind]
        together = torch.cat([scores[name] for name in names]).sort(descending=True).values
        n_kept = max(1, min(len(together), round((1 - ratio) * sum(whole[name] for name in names))))
        kept |= {name: int((scores[name] >= together[n_kept - 1]).sum()) for name in names}
    return rounded(kept, scores, round_to)


def rounded(kept: dict[str, float], scores: dict[str, Tensor], round_to: int) -> dict[str, int]:
    """Each count at the nearest multiple (the lower of two), at least one multiple, at most what is there."""
    nearest = {name: max(1, math.ceil(count / round_to - 0.5 - 1e-9)) * round_to for name, count in kept.items()}
    return {name: min(count, len(scores[name])) for name, count in nearest.items()}


def obtained(model: nn.Module, dense: nn.Module, input_shape: tuple[int, ...]) -> dict[str, Any]:
    """For a row's `extra`: the channels that every layer has now, and the shares of MACs and parameters that are gone."""
    widths = {name: _width(m) for name, m in model.named_modules() if isinstance(m, (*LAYERS, nn.RNNBase))}
    return {
        "channels": widths,
        "macs_removed": round(1 - count_macs(model, input_shape) / count_macs(dense, input_shape), 3),
        "params_removed": round(1 - count_params(model) / count_params(dense), 3),
    }


def _width(layer: nn.Module) -> int:
    if isinstance(layer, nn.RNNBase):
        return layer.hidden_size
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
