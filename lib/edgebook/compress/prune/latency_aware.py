"""Pruning by the clock: channels go where they cost time in the target runtime, until a latency budget is met."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from edgebook import lock, runtimes
from edgebook.compress.prune.dependency_groups import channels_to_keep, check_rounding, remove
from edgebook.compress.prune.importance import channel_scores
from edgebook.errors import BadInput, Unsupported, pick
from edgebook.measure import columns as figures
from edgebook.measure.session import measure_files
from edgebook.models import batch_norm
from edgebook.models.macs import count_macs, count_params
from edgebook.runtimes import Artifact
from edgebook.runtimes.quiet import quiet
from edgebook.tasks import Task
from edgebook.training.batch_norm_statistics import reestimate_batch_norm
from edgebook.training.loop import infer, train

Change = tuple[str, int]  # a layer, and the channels that it keeps

N_ITEMS = 1024  # training items behind a loss
MULTIPLES = (1, 2, 4)  # of round_to that a layer offers to lose
LONGER = 4  # times the timing, before it is said that nothing saves time
N_SHARES = 32  # steps of the share of the channels that goes, for a net that loses it evenly
NOISE = 0.01  # a candidate that saves less of the latency than this saves nothing
FREE = 0.002  # a rise of the loss that is none: among offers that cost nothing, the one that saves most is taken


def prune_to_latency(
    model: nn.Module, task: Task, *, latency_ratio: float, runtime: str, importance: str = "l2", round_to: int = 8,
    cost: str = "loss", tune_items: int = 0, measure_s: float = 0.2, threads: int = 1, original: nn.Module | None = None,
    seed: int = 0, **recipe: Any,
) -> nn.Module:  # fmt: skip
    """A copy whose file in `runtime` takes at most `latency_ratio` of the time of `original` (None: of the model), not yet
    fine-tuned. From what one ratio gave, a smaller ratio may go on.

    Step by step: every layer in turn offers its `round_to` least important channels, and two and four times as many, since
    kernels work in blocks and a part of one saves nothing. Each offer is exported and timed whole, together with the net of
    the step before, and the one that costs least for the time that is still to be saved is taken. `cost`: loss (on training
    items, with batch norm re-estimated), or operations (multiply-accumulates). With `tune_items`, every offer that saves
    time is first trained on so many items, by `recipe` (of `train`), and the next step goes on from there: what is lost and
    can be learned again is no loss. `.history` holds one dict a step: layer, channels, latency_ratio, tuned_items. Raises
    BadInput for a ratio outside (0, 1), an unknown cost, a runtime whose time means nothing here, a recipe with nothing to
    tune; Unsupported when no offer saves time any more. Sources: Yang et al. 2018, NetAdapt (there with a table of layer
    times instead of whole files); Li et al. 2020, EagleEye (the fresh statistics).
    """
    price = pick(COSTS, cost, "cost")
    _check(latency_ratio, runtime, round_to)
    if recipe and not tune_items:
        raise BadInput(f"{', '.join(recipe)}: arguments of training, and tune_items = 0; allowed: more, or no such argument")
    net, history, seconds = copy.deepcopy(model).eval(), [], measure_s
    whole = original or model
    reached = 0.0 if count_params(net) < count_params(whole) else 1.0  # 0: not known, to be timed
    while True:
        if reached <= latency_ratio:  # timed again before offers are made: one that was taken for a lucky time goes on
            dense, now = latencies([whole, net], task, runtime=runtime, measure_s=seconds, threads=threads)
            if now <= latency_ratio * dense:
                net.history = history
                return net
        offers = _offers(net, task, importance, round_to, seed)
        several = [whole, net, *offers.values()]
        dense, now, *times = latencies(several, task, runtime=runtime, measure_s=seconds, threads=threads)
        faster = _faster(dict(zip(offers, times, strict=True)), now, NOISE * dense)
        if not faster and seconds == measure_s:  # noise may hide what little is saved: longer, once
            seconds = LONGER * measure_s
            continue
        if not faster:
            raise Unsupported(f"{runtime} came down to {now / dense:.2f} of the latency; no layer saves more by {round_to}")
        wanted = max(now - latency_ratio * dense, NOISE * dense)  # what is saved beyond it earns nothing
        saved = {change: min(now - time, wanted) for change, time in faster.items()}
        tune = partial(_tuned, task=task, n_items=tune_items, draw=count_params(net), recipe=recipe | {"seed": seed})
        best, net = _cheapest(net, offers, saved, tune, partial(price, task=task))
        reached, seconds = faster[best] / dense, measure_s
        history.append({"layer": best[0], "channels": best[1], "latency_ratio": reached, "tuned_items": tune_items})


def prune_evenly_to_latency(
    model: nn.Module, task: Task, *, latency_ratio: float, runtime: str, scope: str = "uniform", importance: str = "l2",
    round_to: int = 8, measure_s: float = 0.2, threads: int = 1, seed: int = 0,
) -> nn.Module:  # fmt: skip
    """The control at equal latency: of the nets that ever larger shares of the channels leave, the one with the most
    multiply-accumulates whose file takes at most `latency_ratio` of the model's time. Not yet fine-tuned.

    What was fast enough is timed again, so that no lucky time is taken. Raises BadInput for a ratio outside (0, 1) and as
    `prune` does, Unsupported when every one takes longer.
    """
    _check(latency_ratio, runtime, round_to, scope)
    time = partial(latencies, task=task, runtime=runtime, measure_s=measure_s, threads=threads)
    cuts = _at_every_share(model, task, scope, importance, round_to, seed)
    dense, *times = time([model, *cuts])
    fast = [cut for cut, own in zip(cuts, times, strict=True) if own <= latency_ratio * dense]
    for cut in sorted(fast, key=lambda cut: -count_macs(cut, task.input_shape)):
        dense, again = time([model, cut])
        if again <= latency_ratio * dense:
            return cut
    lowest = min((own / dense for own in times), default=1.0)
    raise Unsupported(
        f"{scope} pruning by {round_to} comes down to {lowest:.2f} of the latency in {runtime}, asked {latency_ratio}"
    )


def _check(latency_ratio: float, runtime: str, round_to: int, scope: str = "uniform") -> None:
    check_rounding(round_to, scope)
    if not 0 < latency_ratio < 1:
        raise BadInput(f"latency_ratio = {latency_ratio}; allowed: 0 < ratio < 1")
    if not runtimes.has_latency(runtime):
        allowed = ", ".join(sorted(filter(runtimes.has_latency, runtimes.RUNTIMES)))
        raise BadInput(f"runtime = {runtime!r}: its time here means nothing; allowed: {allowed}")


def latencies(
    models: list[nn.Module], task: Task, *, runtime: str, measure_s: float, threads: int = 1
) -> list[float]:  # fmt: skip
    """Median milliseconds of each model's float file, all timed in turn in one session; disturbed blocks are left out."""
    with tempfile.TemporaryDirectory() as folder:
        files = [_exported(model, task, runtime, Path(folder) / str(number)) for number, model in enumerate(models)]
        measured = measure_files(files, {}, seconds=measure_s, threads=threads, who="latency-aware pruning")
    if broken := next((result.error for result in measured if result.error), None):
        raise RuntimeError(broken)
    return [figures.latency(result)["latency_ms_p50"] for result in measured]


def _exported(model: nn.Module, task: Task, runtime: str, path: Path) -> Artifact:
    """A float file that is not worth keeping."""
    runtimes.check(runtime, "fp32")
    module = runtimes.runtime(runtime)
    path = path.with_name(path.name + module.EXTENSION)
    with lock.training(), quiet():
        module.convert(copy.deepcopy(model).eval().requires_grad_(False), task.x_train[:1], path)
    return Artifact(path, runtime, "fp32")


def _offers(
    net: nn.Module, task: Task, importance: str, round_to: int, seed: int
) -> dict[Change, nn.Module]:  # fmt: skip
    """The net with one layer at each of its next lower multiples of `round_to`, for every layer that can spare channels."""
    scores, _ = channel_scores(net, task, importance=importance, seed=seed)
    whole = {name: len(score) for name, score in scores.items()}
    lower = {(name, round_to * ((n - 1) // round_to + 1 - less)) for name, n in whole.items() for less in MULTIPLES}
    return {
        (name, n): remove(net, task.input_shape, scores, whole | {name: n}) for name, n in sorted(lower) if n >= round_to
    }  # fmt: skip


def _faster(times: dict[Change, float], now: float, least: float) -> dict[Change, float]:
    """The times of the offers that save at least so much, over the net as it is and over the same layer's smaller offers."""
    found: dict[Change, float] = {}
    for (layer, channels), time in sorted(times.items(), key=lambda pair: -pair[0][1]):
        others = [known for (name, _), known in found.items() if name == layer]
        if time < min(others, default=now) - least:
            found[layer, channels] = time
    return found


def _cheapest(
    net: nn.Module, offers: dict[Change, nn.Module], saved: dict[Change, float], tune: Callable, price: Callable
) -> tuple[Change, nn.Module]:  # fmt: skip
    """Of the offers that save time the one that costs least for it, and its net."""
    paid, tuned = price(tune(net)), {change: tune(offers[change]) for change in saved}
    best = min(saved, key=lambda change: max(price(tuned[change]) - paid, FREE) / saved[change])
    return best, tuned[best]


def _at_every_share(
    model: nn.Module, task: Task, scope: str, importance: str, round_to: int, seed: int
) -> list[nn.Module]:  # fmt: skip
    """The different nets that are left when ever larger shares of the channels go, from most to fewest; the model itself is
    none of them.
    """
    scores, kinds = channel_scores(model, task, importance=importance, seed=seed)
    whole = {name: len(score) for name, score in scores.items()}
    shares = [number / N_SHARES for number in range(1, N_SHARES)]
    kept = [channels_to_keep(scores, kinds, whole, share, scope, round_to) for share in shares]
    different = {tuple(one.values()): one for one in kept if one != whole}
    return [remove(model, task.input_shape, scores, one) for one in different.values()]


def _tuned(net: nn.Module, task: Task, n_items: int, draw: int, recipe: dict[str, Any]) -> nn.Module:
    """The net after training on `n_items` items, the same for the same `draw`."""
    if not n_items:
        return net
    items = torch.randperm(len(task.x_train), generator=torch.Generator().manual_seed(draw))[:n_items]
    part = replace(task, x_train=task.x_train[items], y_train=task.y_train[items])
    return train(net, part, **recipe | {"keep": "last"})


def _loss(net: nn.Module, task: Task) -> float:
    """On training items; with fresh batch-norm statistics, without which a pruned net's loss tells little."""
    with lock.training():
        if any(isinstance(module, batch_norm.NORMS) for module in net.modules()):
            net = reestimate_batch_norm(net, task, n_items=N_ITEMS)
        return F.cross_entropy(infer(net, task.x_train[:N_ITEMS]), task.y_train[:N_ITEMS]).item()


def _operations(net: nn.Module, task: Task) -> float:
    return -float(count_macs(net, task.input_shape))


COSTS = {"loss": _loss, "operations": _operations}
