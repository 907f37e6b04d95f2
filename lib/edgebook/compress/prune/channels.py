"""Structured pruning: whole channels go, so that every kernel gets smaller. Torch-Pruning does the graph work."""

from __future__ import annotations

import copy
import math
from typing import Any

from torch import nn

from edgebook.compress.prune.dependency_groups import channels_to_keep, check_rounding, prunable, remove, rounded
from edgebook.compress.prune.importance import IMPORTANCES, channel_scores
from edgebook.errors import BadInput, pick
from edgebook.models.macs import count_macs, count_params
from edgebook.tasks import Task
from edgebook.training.finetune import finetune

N_HALVINGS = 16  # of the ratio, when MACs are asked for


def prune(
    model: nn.Module, task: Task, *, pruning_ratio: float | None = None, macs_ratio: float | None = None,
    importance: str = "l2", scope: str = "uniform", round_to: int = 8, layer_ratios: dict[str, float] | None = None,
    original: nn.Module | None = None, seed: int = 0,
) -> nn.Module:  # fmt: skip
    """A copy without its least important channels, not yet fine-tuned.

    One of three says how many go: `pruning_ratio`, the share of channels; `macs_ratio`, the share of multiply-accumulates
    (the nearest that rounding allows); `layer_ratios`, the share for each group of `groups.prunable`. `scope`: the share
    goes from every layer (uniform), from all layers ranked together (global), or from layers of like surroundings ranked
    together (isomorphic). Kept counts are multiples of `round_to` where a layer has that many: kernels like multiples.
    `original`: the net that the shares refer to, where `model` is already smaller. The layer that gives the outputs keeps
    them all. Raises BadInput for an unknown importance or scope, a ratio outside [0, 1), bn_scale without batch norm;
    RuntimeError when nothing of it could be removed.
    Sources: Fang et al. 2023, DepGraph (Torch-Pruning); Fang et al. 2024, Isomorphic pruning.
    """
    _check(model, pruning_ratio, macs_ratio, layer_ratios, importance, scope, round_to)
    pruned = copy.deepcopy(model).eval()
    if not (pruning_ratio or macs_ratio or any((layer_ratios or {}).values())):
        return pruned
    whole = prunable(original, task.input_shape) if original is not None else None
    scores, kinds = channel_scores(pruned, task, importance=importance, seed=seed)
    whole = whole or {name: len(score) for name, score in scores.items()}
    if layer_ratios:
        if unknown := layer_ratios.keys() - scores.keys():
            raise BadInput(f"layer_ratios: {', '.join(sorted(unknown))} is unknown; known: {', '.join(scores)}")
        kept = {name: (1 - layer_ratios.get(name, 0)) * whole[name] for name in scores}
        smaller = remove(pruned, task.input_shape, scores, rounded(kept, scores, round_to))
    elif macs_ratio:
        dense = count_macs(original if original is not None else model, task.input_shape)
        smaller = _by_macs(pruned, task, scores, kinds, whole, (1 - macs_ratio) * dense, scope, round_to)
    else:
        smaller = remove(pruned, task.input_shape, scores, channels_to_keep(scores, kinds, whole, pruning_ratio, scope, round_to))
    if original is None and count_params(smaller) == count_params(model):
        raise RuntimeError(f"nothing was removed: no layer can lose so few channels and keep a multiple of {round_to}")
    return smaller


def prune_in_steps(
    model: nn.Module, task: Task, *, n_steps: int, pruning_ratio: float | None = None, macs_ratio: float | None = None,
    importance: str = "l2", scope: str = "uniform", round_to: int = 8, seed: int = 0,
    teacher: nn.Module | None = None, soft_weight: float = 0.0, **recipe: Any,
) -> nn.Module:  # fmt: skip
    """A pruned and fine-tuned copy: `n_steps` times an equal part of the share goes, and `recipe` (of `train`) follows.

    The epochs of the recipe are split over the steps, the last step gets what remains. The outputs of the teacher (None:
    the model itself) get `soft_weight` of the loss, the labels the rest. Raises BadInput as `prune` does, and for more
    steps than epochs. Source: Han et al. 2015, Learning both weights and connections.
    """
    epochs = recipe.pop("epochs")
    if not 1 <= n_steps <= max(epochs, 1):
        raise BadInput(f"n_steps = {n_steps}; allowed: 1 to the {epochs} epochs of fine-tuning")
    net, history = model, []
    for step in range(1, n_steps + 1):
        share = {"pruning_ratio": _part(pruning_ratio, step, n_steps), "macs_ratio": _part(macs_ratio, step, n_steps)}
        net = prune(
            net, task, **share, importance=importance, scope=scope, round_to=round_to, original=model, seed=seed
        )  # fmt: skip
        own = epochs // n_steps if step < n_steps else epochs - (n_steps - 1) * (epochs // n_steps)
        net = finetune(net, task, teacher=teacher or model, soft_weight=soft_weight, epochs=own, seed=seed, **recipe)
        history += net.history
    net.history = [{**entry, "epoch": number} for number, entry in enumerate(history, 1)]
    return net


def _check(model, pruning_ratio, macs_ratio, layer_ratios, importance: str, scope: str, round_to: int) -> None:
    pick(IMPORTANCES, importance, "importance")
    check_rounding(round_to, scope)
    if sum(given is not None for given in (pruning_ratio, macs_ratio, layer_ratios)) != 1:
        raise BadInput("give one of pruning_ratio, macs_ratio and layer_ratios")
    asked = {"pruning_ratio": pruning_ratio, "macs_ratio": macs_ratio, **(layer_ratios or {})}
    for name, ratio in asked.items():
        if ratio is not None and not 0 <= ratio < 1:
            raise BadInput(f"{name} = {ratio}; allowed: 0 <= ratio < 1")


def _part(ratio: float | None, step: int, n_steps: int) -> float | None:
    return None if ratio is None else ratio * step / n_steps


def _by_macs(model, task: Task, scores, kinds, whole, target: float, scope: str, round_to: int) -> nn.Module:
    """The copy whose MACs come nearest to `target`: fewer channels never cost more, so the ratio is halved in."""
    low, high, best = 0.0, 1.0, (math.inf, model)
    tried: dict[tuple, int] = {}
    for _ in range(N_HALVINGS):
        ratio = (low + high) / 2
        kept = channels_to_keep(scores, kinds, whole, ratio, scope, round_to)
        if (key := tuple(kept.values())) not in tried:
            smaller = remove(model, task.input_shape, scores, kept)
            tried[key] = count_macs(smaller, task.input_shape)
            best = min(best, (abs(tried[key] - target), smaller), key=lambda pair: pair[0])
        low, high = (ratio, high) if tried[key] > target else (low, ratio)
    return best[1]
