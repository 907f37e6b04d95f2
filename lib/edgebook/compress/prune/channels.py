"""Structured pruning of convolutions and dense layers: whole channels are removed. Torch-Pruning does the graph work."""

from __future__ import annotations

import copy
import dataclasses
import math

from torch import nn

from edgebook.compress.prune import IMPORTANCES
from edgebook.compress.prune.dependency_groups import (
    Channels,
    Ranking,
    channels_to_keep,
    check_rounding,
    prunable,
    remove,
    round_channels,
)
from edgebook.compress.prune.importance import rank_channels
from edgebook.errors import BadInput
from edgebook.models.macs import count_macs, count_params
from edgebook.registry import pick
from edgebook.tasks.task import Task
from edgebook.training.finetune import finetune
from edgebook.training.recipe import Recipe

N_HALVINGS = 16  # of the ratio, when a share of the MACs is requested


def prune(
    model: nn.Module,
    task: Task,
    *,
    pruning_ratio: float | None = None,
    macs_ratio: float | None = None,
    layer_ratios: dict[str, float] | None = None,
    importance: str = "l2",
    scope: str = "uniform",
    round_to: int = 8,
    original: nn.Module | None = None,
    seed: int = 0,
) -> nn.Module:
    """A copy without its least important channels, not yet fine-tuned. One of three shares says how many are removed:

    `pruning_ratio` of the channels, `macs_ratio` of the multiply-accumulates (as near as rounding allows), `layer_ratios` per
    group of `prunable`. `scope`: removed from every layer alike (uniform), or ranked over all layers (global) or over similar
    ones (isomorphic). Remaining counts are multiples of `round_to` where a layer has that many. `original`: the network that
    shares refer to, where `model` is already smaller. The output layer keeps all its outputs. Raises BadInput for a wrong
    argument, Unsupported for a network that cannot be pruned so, RuntimeError when nothing could be removed.
    Sources: Fang et al. 2023, DepGraph (Torch-Pruning); Fang et al. 2024, Isomorphic pruning.
    """
    _check(pruning_ratio, macs_ratio, layer_ratios, importance, scope, round_to)
    pruned, dense = copy.deepcopy(model).eval(), model if original is None else original
    if not (pruning_ratio or macs_ratio or any((layer_ratios or {}).values())):
        return pruned
    ranking = rank_channels(pruned, task, importance=importance, seed=seed)
    reference = prunable(dense, task.input_shape)
    if layer_ratios:
        remaining = _by_layer(ranking, layer_ratios, reference, round_to)
    elif macs_ratio:
        target = (1 - macs_ratio) * count_macs(dense, task.input_shape)
        remaining = _by_macs(pruned, task, ranking, reference, target, scope, round_to)
    else:
        remaining = channels_to_keep(ranking, pruning_ratio, scope=scope, round_to=round_to, original=reference)
    smaller = remove(pruned, task.input_shape, ranking, remaining)
    if original is None and count_params(smaller) == count_params(model):
        raise RuntimeError(f"nothing was removed: no layer can lose so few channels and keep a multiple of {round_to}")
    return smaller


def prune_in_steps(
    model: nn.Module,
    task: Task,
    recipe: Recipe,
    *,
    n_steps: int = 1,
    pruning_ratio: float | None = None,
    macs_ratio: float | None = None,
    importance: str = "l2",
    scope: str = "uniform",
    round_to: int = 8,
    soft_weight: float = 0.0,
) -> nn.Module:
    """A pruned and fine-tuned copy: an equal part of the share is removed `n_steps` times, with fine-tuning after each.

    The recipe's epochs are split over the steps, the last step gets the remainder. The unpruned model's outputs get
    `soft_weight` of the loss, the labels the rest. Raises as `prune` does, and BadInput for more steps than epochs.
    Source: Han et al. 2015, Learning both weights and connections.
    """
    if not 1 <= n_steps <= max(recipe.epochs, 1):
        raise BadInput(f"n_steps = {n_steps}; allowed: 1 to the {recipe.epochs} epochs of fine-tuning")
    how = {"importance": importance, "scope": scope, "round_to": round_to, "original": model, "seed": recipe.seed}
    net, history, per_step = model, [], recipe.epochs // n_steps
    for step in range(1, n_steps + 1):
        ratios = {"pruning_ratio": _part(pruning_ratio, step, n_steps), "macs_ratio": _part(macs_ratio, step, n_steps)}
        net = prune(net, task, **ratios, **how)
        epochs = per_step if step < n_steps else recipe.epochs - (n_steps - 1) * per_step
        net = finetune(net, task, dataclasses.replace(recipe, epochs=epochs), teacher=model, soft_weight=soft_weight)
        history += net.history
    net.history = [{**entry, "epoch": number} for number, entry in enumerate(history, 1)]
    return net


def _check(
    pruning_ratio: float | None,
    macs_ratio: float | None,
    layer_ratios: dict[str, float] | None,
    importance: str,
    scope: str,
    round_to: int,
) -> None:
    pick(IMPORTANCES, importance, "importance")
    check_rounding(round_to, scope)
    if sum(ratio is not None for ratio in (pruning_ratio, macs_ratio, layer_ratios)) != 1:
        raise BadInput("one of pruning_ratio, macs_ratio and layer_ratios is needed")
    for name, ratio in {"pruning_ratio": pruning_ratio, "macs_ratio": macs_ratio, **(layer_ratios or {})}.items():
        if ratio is not None and not 0 <= ratio < 1:
            raise BadInput(f"{name} = {ratio}; allowed: 0 <= ratio < 1")


def _part(ratio: float | None, step: int, n_steps: int) -> float | None:
    return None if ratio is None else ratio * step / n_steps


def _by_layer(ranking: Ranking, layer_ratios: dict[str, float], reference: Channels, round_to: int) -> Channels:
    """The channels that remain when each layer loses its own share."""
    if unknown := layer_ratios.keys() - ranking.scores.keys():
        raise BadInput(f"layer_ratios: {', '.join(sorted(unknown))} is unknown; known: {', '.join(ranking.scores)}")
    counts = {name: (1 - layer_ratios.get(name, 0)) * reference[name] for name in ranking.scores}
    return round_channels(counts, ranking.channels, round_to)


def _by_macs(
    model: nn.Module, task: Task, ranking: Ranking, reference: Channels, target: float, scope: str, round_to: int
) -> Channels:
    """The channels whose MACs come nearest to `target`. Fewer channels never cost more, so bisection over the ratio finds it."""
    low, high = 0.0, 1.0
    macs: dict[tuple, int] = {}
    nearest: tuple[float, Channels] = (math.inf, ranking.channels)
    for _ in range(N_HALVINGS):
        ratio = (low + high) / 2
        remaining = channels_to_keep(ranking, ratio, scope=scope, round_to=round_to, original=reference)
        key = tuple(remaining.values())
        if key not in macs:
            macs[key] = count_macs(remove(model, task.input_shape, ranking, remaining), task.input_shape)
            nearest = min(nearest, (abs(macs[key] - target), remaining), key=lambda pair: pair[0])
        low, high = (ratio, high) if macs[key] > target else (low, ratio)
    return nearest[1]
