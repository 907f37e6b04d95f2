"""Mixed precision: how much each layer suffers from few bits, and the best bits per layer for a size."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn

from edgebook.errors import BadInput
from edgebook.tasks.task import Task, spread_items
from edgebook.training.loop import evaluate, infer

N_BINS = 4000  # the resolution of the budget
Sensitivities = list[dict[str, Any]]


def sensitivity(
    model: nn.Module, task: Task, *, compress: Callable[..., nn.Module], options: list[int], n_items: int = 512
) -> Sensitivities:
    """One dict per weight and number of bits, with only that weight compressed: `layer`, `bits`, `n_weights`, `divergence` (the
    kind's soft loss to the float model's outputs) and `score_lost`, both on `n_items` validation items, evenly spread.

    `compress(model, task, bits={layer: bits})` compresses one weight. Raises BadInput without options.
    Source: Dong et al. 2019, HAWQ, whose Hessian is replaced by the divergence itself.
    """
    if not options:
        raise BadInput("options: at least one number of bits is needed")
    numbers = spread_items(len(task.x_val), n_items)
    part = dataclasses.replace(task, x_val=task.x_val[numbers], y_val=task.y_val[numbers])
    outputs, score = infer(model, part.x_val), evaluate(model, part)
    table = []
    for name, weight in model.named_parameters():
        for bits in options if weight.ndim > 1 else ():
            compressed = compress(model, task, bits={name: bits})
            divergence = task.kind.soft_loss(infer(compressed, part.x_val), outputs, 1.0).item()
            lost = {"divergence": divergence, "score_lost": score - evaluate(compressed, part)}
            table.append({"layer": name, "bits": bits, "n_weights": weight.numel(), **lost})
    return table


def assign(table: Sensitivities, *, average_bits: float) -> dict[str, int]:
    """The bits per layer with the smallest sum of divergences that take at most `average_bits` per weight, codebooks (2^bits
    float16 values) counted: an exact knapsack up to the rounding of costs, which are rounded up.

    `table` is what `sensitivity` returns. Raises BadInput when not even the fewest bits fit.
    """
    by_layer: dict[str, Sensitivities] = {}
    for entry in table:
        by_layer.setdefault(entry["layer"], []).append(entry)
    budget = average_bits * sum(entries[0]["n_weights"] for entries in by_layer.values())
    best, picks = np.zeros(N_BINS + 1), []  # best[b]: smallest divergence of the layers so far at a cost of b bins or less
    for entries in by_layer.values():
        tried = np.full((len(entries), N_BINS + 1), np.inf)
        for place, entry in enumerate(entries):
            if (cost := _cost(entry, budget)) <= N_BINS:
                tried[place, cost:] = best[: N_BINS + 1 - cost] + entry["divergence"]
        picks.append((entries, tried.argmin(0)))
        best = tried.min(0)
    if not np.isfinite(best[-1]):
        raise BadInput(f"average_bits = {average_bits}: too few for the fewest bits of every layer; allowed: more")
    return _walk_back(picks, budget)


def _cost(entry: dict[str, Any], budget: float) -> int:
    """What a layer takes at its bits, in bins of the budget, rounded up."""
    return int(np.ceil(stored_bits(entry["n_weights"], entry["bits"]) / budget * N_BINS))


def _walk_back(picks: list[tuple[Sensitivities, np.ndarray]], budget: float) -> dict[str, int]:
    """The choice of each layer that led to the best sum."""
    chosen, left = {}, N_BINS
    for entries, choice in reversed(picks):
        entry = entries[choice[left]]
        chosen[entry["layer"]] = entry["bits"]
        left -= _cost(entry, budget)
    return dict(reversed(chosen.items()))


def stored_bits(n_weights: int, bits: int) -> float:
    """Bits of a layer in a packed file: indices, and a codebook of float16 values where it has that many weights."""
    return n_weights * bits + 16 * min(2**bits, n_weights)


def mean_bits(model: nn.Module, chosen: dict[str, int]) -> float:
    """Bits per weight over the named layers, codebooks counted."""
    sizes = {name: model.get_parameter(name).numel() for name in chosen}
    return sum(stored_bits(sizes[name], bits) for name, bits in chosen.items()) / sum(sizes.values())


def uniform(model: nn.Module, bits: int) -> dict[str, int]:
    """The control: the same bits for every weight."""
    return {name: bits for name, weight in model.named_parameters() if weight.ndim > 1}
