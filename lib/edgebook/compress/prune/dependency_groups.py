"""Which channels can only be removed together, by Torch-Pruning's dependency graph, and their removal."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import torch
import torch_pruning as tp
from torch import Tensor, nn

from edgebook.compress.prune import SCOPES
from edgebook.errors import BadInput, Unsupported
from edgebook.models.macs import count_macs, count_params

LAYERS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.Linear)
Channels = dict[str, int]  # number of channels per group, by the name of the group's first layer


@dataclass(frozen=True)
class Ranking:
    """The importance of every channel that can be removed, and what each group is connected to.

    scores: group -> (channels,). surroundings: group -> the kinds of its layers; groups with the same text are alike.
    """

    scores: dict[str, Tensor]
    surroundings: dict[str, str]

    @property
    def channels(self) -> Channels:
        """How many channels each group has."""
        return {name: len(score) for name, score in self.scores.items()}


def output_layer(model: nn.Module, example: Tensor) -> nn.Module:
    """The last layer with weights that runs: it gives the outputs."""
    executed: list[nn.Module] = []
    layers = [module for module in model.modules() if isinstance(module, LAYERS)]
    hooks = [layer.register_forward_hook(lambda module, *_: executed.append(module)) for layer in layers]
    with torch.inference_mode():
        model.eval()(example)
    for hook in hooks:
        hook.remove()
    return executed[-1]


def make_pruner(model: nn.Module, input_shape: tuple[int, ...], *, kind: type = tp.pruner.BasePruner, **arguments: Any) -> Any:
    """A Torch-Pruning pruner of this very model that leaves the output layer alone; the model's mode is restored.

    `arguments` go to the pruner's class. Raises Unsupported for a recurrent network.
    """
    if any(isinstance(module, nn.RNNBase) for module in model.modules()):
        reason = "channels of convolutions and dense layers are pruned; for a GRU or LSTM use prune_units (24_prune_recurrent)"
        raise Unsupported(reason, code="structure")
    was_training, device = model.training, next(model.parameters()).device
    example = torch.zeros(1, *input_shape, device=device)
    pruner = kind(model, example, ignored_layers=[output_layer(model, example)], **arguments)
    model.train(was_training)
    return pruner


def channel_groups(pruner: Any) -> dict[str, Any]:
    """Torch-Pruning's groups of channels that can only be removed together, by the name of each group's first layer."""
    names = {module: name for name, module in pruner.model.named_modules()}
    groups = pruner.DG.get_all_groups(ignored_layers=pruner.ignored_layers, root_module_types=pruner.root_module_types)
    return {names[group[0].dep.target.module]: group for group in groups}


def prunable(model: nn.Module, input_shape: tuple[int, ...]) -> Channels:
    """The channels of every group that can be pruned. The model stays as it is."""
    pruner = make_pruner(model, input_shape, importance=tp.importance.RandomImportance())
    return {name: len(group[0].idxs) for name, group in channel_groups(pruner).items()}


def remove(model: nn.Module, input_shape: tuple[int, ...], ranking: Ranking, remaining: Channels) -> nn.Module:
    """A copy, in eval mode, in which every group has its `remaining` most important channels."""
    smaller = copy.deepcopy(model)
    layers = {smaller.get_submodule(name): name for name in remaining}
    # half a channel more than remains: Torch-Pruning rounds n * (1 - ratio) down to a whole number
    ratios = {layer: 1 - (remaining[name] + 0.5) / ranking.channels[name] for layer, name in layers.items()}
    pruner = make_pruner(
        smaller,
        input_shape,
        pruning_ratio=0.0,
        pruning_ratio_dict=ratios,
        importance=lambda group: ranking.scores.get(layers.get(group[0].dep.target.module)),
    )
    pruner.step()
    smaller.zero_grad(set_to_none=True)
    return smaller.eval()


def check_rounding(round_to: int, scope: str = "uniform") -> None:
    """Raises BadInput for an unknown scope, or for less than one channel."""
    if scope not in SCOPES:
        raise BadInput(f"scope = {scope!r}; allowed: {', '.join(SCOPES)}")
    if round_to < 1:
        raise BadInput(f"round_to = {round_to}; allowed: 1 or more channels")


def channels_to_keep(
    ranking: Ranking, ratio: float, *, scope: str = "uniform", round_to: int = 1, original: Channels | None = None
) -> Channels:
    """How many channels each group keeps when the share `ratio` of `original` (None: of what there is) is removed."""
    original = original or ranking.channels
    if scope == "uniform":
        return round_channels({name: (1 - ratio) * original[name] for name in ranking.scores}, ranking.channels, round_to)
    counts: dict[str, float] = {}
    for kind in dict.fromkeys(ranking.surroundings.values() if scope == "isomorphic" else [""]):
        names = [name for name in ranking.scores if scope == "global" or ranking.surroundings[name] == kind]
        scores = torch.cat([ranking.scores[name] for name in names]).sort(descending=True).values
        n_kept = max(1, min(len(scores), round((1 - ratio) * sum(original[name] for name in names))))
        counts |= {name: int((ranking.scores[name] >= scores[n_kept - 1]).sum()) for name in names}
    return round_channels(counts, ranking.channels, round_to)


def round_channels(counts: dict[str, float], available: Channels, round_to: int) -> Channels:
    """Each count rounded to the nearest multiple of `round_to`, halves down: one multiple at least, at most what is available."""
    nearest = {name: max(1, math.ceil(count / round_to - 0.5 - 1e-9)) * round_to for name, count in counts.items()}
    return {name: min(count, available[name]) for name, count in nearest.items()}


def obtained(model: nn.Module, dense: nn.Module, input_shape: tuple[int, ...]) -> dict[str, Any]:
    """For a row's `extra`: the channels of every layer, and the shares of the dense model's MACs and parameters removed."""
    widths = {name: _width(m) for name, m in model.named_modules() if isinstance(m, (*LAYERS, nn.RNNBase))}
    return {
        "channels": widths,
        "macs_removed": round(1 - count_macs(model, input_shape) / count_macs(dense, input_shape), 3),
        "params_removed": round(1 - count_params(model) / count_params(dense), 3),
    }


def _width(layer: Any) -> int:
    if isinstance(layer, nn.RNNBase):
        return layer.hidden_size
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
