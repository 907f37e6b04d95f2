"""Mixed precision: how much each layer suffers from few bits, and the best bits for a size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from edgebook.errors import BadInput
from edgebook.tasks import Task
from edgebook.training.loop import infer

N_BINS = 4000  # the budget's resolution


def sensitivity(
    model: nn.Module, task: Task, *, compress: Callable[..., nn.Module], options: list[int], n_items: int = 512
) -> list[dict[str, Any]]:
    """One dict for each weight and number of bits, with only that weight compressed: `layer`, `bits`, `n_weights`,
    `divergence` (mean KL of the outputs from the float model's) and `val_drop` (accuracy lost), on the first `n_items`
    validation items. `compress(model, task, bits={layer: bits})` does it. Source: Dong et al. 2019, HAWQ, whose Hessian
    is here the divergence itself.
    """
    if not options:
        raise BadInput("options: at least one number of bits is needed")
    x, y = task.x_val[:n_items], task.y_val[:n_items]
    whole = infer(model, x)
    found = []
    for name, weight in model.named_parameters():
        for bits in options if weight.ndim > 1 else ():
            own = infer(compress(model, task, bits={name: bits}), x)
            drop = (whole.argmax(1) == y).float().mean() - (own.argmax(1) == y).float().mean()
            found.append({"layer": name, "bits": bits, "n_weights": weight.numel(),
                          "divergence": divergence(whole, own), "val_drop": drop.item()})  # fmt: skip
    return found


def divergence(whole: Tensor, own: Tensor) -> float:
    """Mean over items of KL(softmax(whole) || softmax(own)); both (n, n_outputs)."""
    return F.kl_div(F.log_softmax(own, 1), F.log_softmax(whole, 1), reduction="batchmean", log_target=True).item()


def assign(table: list[dict[str, Any]], *, average_bits: float) -> dict[str, int]:
    """The bits of every layer that add up to the smallest divergence and to at most `average_bits` a weight, codebooks
    (2^bits float16 values) counted: an exact knapsack up to the rounding of costs, which are rounded up.

    `table` is what `sensitivity` returns. Raises BadInput when not even the fewest bits fit.
    """
    layers = list(dict.fromkeys(row["layer"] for row in table))
    n_weights = sum({row["layer"]: row["n_weights"] for row in table}.values())
    budget = average_bits * n_weights
    best, picks = np.zeros(N_BINS + 1), []  # best[b]: smallest divergence of the layers so far at a cost of b bins or less
    for layer in layers:
        rows = [row for row in table if row["layer"] == layer]
        tried = np.full((len(rows), N_BINS + 1), np.inf)
        for place, row in enumerate(rows):
            cost = int(np.ceil(stored_bits(row["n_weights"], row["bits"]) / budget * N_BINS))
            if cost <= N_BINS:
                tried[place, cost:] = best[: N_BINS + 1 - cost] + row["divergence"]
        picks.append((rows, tried.argmin(0)))
        best = tried.min(0)
    if not np.isfinite(best[-1]):
        raise BadInput(f"average_bits = {average_bits}: too few for the fewest bits of every layer; allowed: more")
    return _walk_back(picks, budget)


def _walk_back(picks: list, budget: float) -> dict[str, int]:
    chosen, left = {}, N_BINS
    for rows, pick in reversed(picks):
        row = rows[pick[left]]
        chosen[row["layer"]] = row["bits"]
        left -= int(np.ceil(stored_bits(row["n_weights"], row["bits"]) / budget * N_BINS))
    return dict(reversed(chosen.items()))


def stored_bits(n_weights: int, bits: int) -> float:
    """Bits of a layer in a packed file: indices, and a codebook of float16 values where it has that many weights."""
    return n_weights * bits + 16 * min(2**bits, n_weights)


def mean_bits(model: nn.Module, chosen: dict[str, int]) -> float:
    """Bits a weight over the named layers, codebooks counted."""
    sizes = {name: model.get_parameter(name).numel() for name in chosen}
    return sum(stored_bits(sizes[name], bits) for name, bits in chosen.items()) / sum(sizes.values())


def uniform(model: nn.Module, bits: int) -> dict[str, int]:
    """The control: every weight at the same bits."""
    return {name: bits for name, weight in model.named_parameters() if weight.ndim > 1}
