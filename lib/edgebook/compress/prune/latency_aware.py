"""Latency-aware pruning: channels are removed where they cost time in the target runtime, until a latency is reached."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from edgebook import lock
from edgebook.compress.prune import COSTS
from edgebook.compress.prune.dependency_groups import remove
from edgebook.compress.prune.file_latency import SECONDS, check_latency_target, file_latencies
from edgebook.compress.prune.importance import rank_channels
from edgebook.errors import BadInput, Unsupported
from edgebook.models.batch_norm import has_batch_norm
from edgebook.models.macs import count_macs, count_params
from edgebook.registry import pick
from edgebook.tasks.task import Task, draw_items
from edgebook.training.batch_norm_statistics import reestimate_batch_norm
from edgebook.training.loop import infer, train
from edgebook.training.recipe import Recipe

Change = tuple[str, int]  # a layer, and the channels that it keeps

N_ITEMS = 1024  # training items behind a loss
MULTIPLES = (1, 2, 4)  # of round_to: how many channels a layer may lose in one step
LONGER = 4  # times the timing, before it is reported that nothing saves time
NOISE = 0.01  # a saving of less than this share of the latency is taken for noise
FREE = 0.002  # a rise of the loss that counts as none: among changes that cost nothing, the one that saves most is taken


def prune_to_latency(
    model: nn.Module,
    task: Task,
    *,
    latency_ratio: float,
    runtime: str,
    cost: str = "loss",
    round_to: int = 8,
    threads: int = 1,
    tune_items: int = 0,
    recipe: Recipe | None = None,
    original: nn.Module | None = None,
) -> nn.Module:
    """A copy whose file in `runtime` takes at most `latency_ratio` of the time of `original` (None: the model); not fine-tuned.

    In every step each layer in turn loses `round_to`, two and four times as many channels of the smallest norm, since kernels
    work in blocks. Each candidate's file is exported and timed; the one with the lowest `cost` per time saved is taken. cost:
    loss (on training items, batch norm re-estimated) or macs. With `tune_items`, candidates that save time are first trained
    on so many items by `recipe`, and the next step continues from there. `.history` holds one dict per step. Raises BadInput
    for a wrong argument, Unsupported when no candidate saves time.
    Sources: Yang et al. 2018, NetAdapt (there with a table of layer times); Li et al. 2020, EagleEye (re-estimated statistics).
    """
    price = partial(pick(COSTS, cost, "cost"), task=task)
    check_latency_target(latency_ratio, runtime, round_to)
    if bool(tune_items) != bool(recipe):
        raise BadInput(f"tune_items = {tune_items} with recipe = {recipe}; allowed: both, or neither")
    clock = partial(file_latencies, task=task, runtime_name=runtime, threads=threads)
    tune = partial(_tune, task=task, n_items=tune_items, recipe=recipe)
    net, whole, history = copy.deepcopy(model).eval(), model if original is None else original, []
    reached = 1.0 if count_params(net) == count_params(whole) else 0.0  # 0: not known yet, to be timed
    while True:
        if reached <= latency_ratio:  # timed again, so that a lucky timing is not taken
            dense, latency = clock([whole, net])
            if latency <= latency_ratio * dense:
                net.history = history
                return net
        step, net = _step(net, whole, partial(_candidates, task=task, round_to=round_to), clock, latency_ratio, tune, price)
        reached = step["latency_ratio"]
        history.append({**step, "tuned_items": tune_items})


def _step(
    net: nn.Module,
    whole: nn.Module,
    candidates_of: Callable,
    clock: Callable,
    latency_ratio: float,
    tune: Callable,
    price: Callable,
) -> tuple[dict[str, Any], nn.Module]:
    """What one step changes, {layer, channels, latency_ratio}, and the network after it."""
    candidates = candidates_of(net)
    dense, latency, faster = _time(clock, whole, net, candidates)
    needed = max(latency - latency_ratio * dense, NOISE * dense)  # a larger saving is worth no more
    saved = {change: min(latency - faster[change], needed) for change in faster}
    (layer, channels), smaller = _cheapest(net, candidates, saved, partial(tune, draw=count_params(net)), price)
    return {"layer": layer, "channels": channels, "latency_ratio": faster[layer, channels] / dense}, smaller


def _candidates(net: nn.Module, task: Task, round_to: int) -> dict[Change, nn.Module]:
    """The net with one layer at each of its next lower multiples of `round_to`, for every layer that can spare channels."""
    ranking = rank_channels(net, task, importance="l2")
    lower = {
        (name, round_to * ((n - 1) // round_to + 1 - multiple)) for name, n in ranking.channels.items() for multiple in MULTIPLES
    }
    return {
        (name, n): remove(net, task.input_shape, ranking, ranking.channels | {name: n})
        for name, n in sorted(lower)
        if n >= round_to
    }


def _time(
    clock: Callable, whole: nn.Module, net: nn.Module, candidates: dict[Change, nn.Module]
) -> tuple[float, float, dict[Change, float]]:
    """Latencies of the whole network, of the net, and of the candidates that are faster than it. Where there is none the timing
    is repeated once, for longer, since noise may hide small savings; then it raises Unsupported.
    """
    for seconds in (SECONDS, LONGER * SECONDS):
        dense, latency, *times = clock([whole, net, *candidates.values()], seconds=seconds)
        faster = _faster(dict(zip(candidates, times, strict=True)), latency, NOISE * dense)
        if faster:
            return dense, latency, faster
    raise Unsupported(f"latency came down to {latency / dense:.2f} of the whole network's; no layer saves more")


def _faster(latencies: dict[Change, float], latency: float, least: float) -> dict[Change, float]:
    """The candidates that are at least `least` faster than `latency` and than the same layer's smaller changes."""
    faster: dict[Change, float] = {}
    for (layer, channels), candidate in sorted(latencies.items(), key=lambda pair: -pair[0][1]):
        same_layer = [other for (name, _), other in faster.items() if name == layer]
        if candidate < min(same_layer, default=latency) - least:
            faster[layer, channels] = candidate
    return faster


def _cheapest(
    net: nn.Module, candidates: dict[Change, nn.Module], saved: dict[Change, float], tune: Callable, price: Callable
) -> tuple[Change, nn.Module]:
    """Of the candidates that save time the one that costs least per time saved, and its network."""
    before, tuned = price(tune(net)), {change: tune(candidates[change]) for change in saved}
    best = min(saved, key=lambda change: max(price(tuned[change]) - before, FREE) / saved[change])
    return best, tuned[best]


def _tune(net: nn.Module, task: Task, *, n_items: int, draw: int, recipe: Recipe | None) -> nn.Module:
    """The net after training on `n_items` items, the same for the same `draw`."""
    if recipe is None:
        return net
    items = draw_items(len(task.x_train), n_items, draw)
    part = dataclasses.replace(task, x_train=task.x_train[items], y_train=task.y_train[items])
    return train(net, part, recipe, keep="last")


def training_loss(net: nn.Module, task: Task) -> float:
    """The loss on training items, with re-estimated batch-norm statistics: a pruned network's loss tells little without."""
    x, y = task.x_train[:N_ITEMS], task.y_train[:N_ITEMS]
    with lock.training():
        if has_batch_norm(net):
            net = reestimate_batch_norm(net, task, n_items=N_ITEMS)
        return task.kind.loss(infer(net, x), x, y, 0.0).item()


def remaining_macs(net: nn.Module, task: Task) -> float:
    """Minus the multiply-accumulates: what is removed costs as much as it has."""
    return -float(count_macs(net, task.input_shape))
