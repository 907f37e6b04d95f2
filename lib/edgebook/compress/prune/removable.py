"""Which groups of channels can really be removed: each is tried, and its outputs compared with those of zeroed channels."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from edgebook.compress.prune.dependency_groups import channel_groups, make_pruner
from edgebook.compress.prune.hidden_slices import input_weights
from edgebook.errors import one_line

SHARE = 0.25  # of a group's channels that the trial removes: the first ones, so that halves of a split become uneven
N_ITEMS = 4  # of random numbers
TOLERANCE = 1e-3  # of the largest output
CONVOLUTIONS, TRANSPOSED = nn.modules.conv._ConvNd, nn.modules.conv._ConvTransposeNd
NORMS = nn.modules.batchnorm._NormBase
NORMALIZING = (nn.LayerNorm, nn.GroupNorm, nn.MultiheadAttention)  # fewer channels are not the same as channels at zero
OTHERWISE = "without some of its channels the network does not compute what it computes with them at zero"
EMPTY = "a layer would lose all its channels"


def refusals(model: nn.Module, input_shape: tuple[int, ...]) -> dict[str, str]:
    """Group -> why its channels cannot be removed; empty where all can. The model stays as it is.

    Torch-Pruning finds groups by following one item's gradients. It does not see which widths a forward has as numbers (heads
    of attention, a `view`), and what a split in halves, a shuffle or a reshape does with fewer channels.
    """
    refused: dict[str, str] = {}
    while reason := _first_refusal(copy.deepcopy(model).eval(), input_shape, refused):
        refused |= reason
    return refused


def no_channels(refused: dict[str, str]) -> str:
    """Why a network has no channels to remove."""
    reasons = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
    hint = "channels of convolutions and dense layers are pruned; for a GRU or LSTM use prune_units (24_prune_recurrent)"
    return f"no channels can be removed: {reasons or hint}"


def _first_refusal(trial: nn.Module, input_shape: tuple[int, ...], refused: dict[str, str]) -> dict[str, str]:
    """The first group that cannot be removed after those before it, with the reason; `trial` is used up."""
    names = {module: name for name, module in trial.named_modules()}

    def first_channels(group: Any) -> Tensor | None:
        return None if names[group[0].dep.target.module] in refused else torch.arange(float(len(group[0].idxs)))

    pruner = make_pruner(trial, input_shape, importance=first_channels, pruning_ratio=SHARE)
    waiting = {name for name, group in channel_groups(pruner).items() if len(group[0].idxs) > 1} - refused.keys()
    x = torch.randn(N_ITEMS, *input_shape, generator=torch.Generator().manual_seed(0))
    for group in pruner.step(interactive=True):
        name = names[group[0].dep.target.module]
        try:
            if not _is_removed_exactly(trial, pruner, group, x.to(next(trial.parameters()).device)):
                return {name: OTHERWISE}
        except Exception as error:  # whatever the user's forward, or Torch-Pruning, makes of it
            return {name: one_line(error)}
        waiting.discard(name)
    return {name: EMPTY for name in sorted(waiting)[:1]}


@torch.no_grad()
def _is_removed_exactly(trial: nn.Module, pruner: Any, group: Any, x: Tensor) -> bool:
    """Remove a group's channels; whether the outputs are those that the network had with these channels at zero."""
    is_exact = not any(isinstance(dep.target.module, NORMALIZING) for dep, _ in group)
    for dep, places in group:
        _zero(dep.target, places, reads=not pruner.DG.is_out_channel_pruning_fn(dep.handler))
    expected = trial(x) if is_exact else None
    group.prune()
    outputs = trial(x)
    if expected is None:
        return bool(torch.isfinite(outputs).all())
    return outputs.shape == expected.shape and bool((outputs - expected).abs().max() <= TOLERANCE * expected.abs().max())


def _zero(node: Any, places: list[int], *, reads: bool) -> None:
    """Set to zero what a layer has for the channels `places`, on the side where it reads them or on the one where it gives them.

    Layers that are not named here keep their numbers: the comparison then decides against the group.
    """
    layer, index = node.module, torch.tensor(places)
    if isinstance(layer, nn.Parameter):
        layer.data.index_fill_(node.pruning_dim, index, 0.0)
    elif isinstance(layer, nn.RNNBase):
        for name in input_weights(layer):
            getattr(layer, name).data.index_fill_(1, index, 0.0)
    elif isinstance(layer, NORMS) and layer.affine:
        layer.weight.data[index], layer.bias.data[index] = 0.0, 0.0
    elif isinstance(layer, nn.Linear | CONVOLUTIONS) and not (reads and getattr(layer, "groups", 1) > 1):
        layer.weight.data.index_fill_(int(reads != isinstance(layer, TRANSPOSED)), index, 0.0)
        if layer.bias is not None and not reads:
            layer.bias.data[index] = 0.0
