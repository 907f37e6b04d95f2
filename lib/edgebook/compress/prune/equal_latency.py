"""The control of latency-aware pruning: the same share of channels everywhere, or one ranking, at equal latency."""

from __future__ import annotations

from functools import partial

from torch import nn

from edgebook.compress.prune.dependency_groups import channels_to_keep, remove
from edgebook.compress.prune.file_latency import check_latency_target, file_latencies
from edgebook.compress.prune.importance import rank_channels
from edgebook.errors import Unsupported
from edgebook.models.macs import count_macs
from edgebook.tasks.task import Task

N_SHARES = 32  # steps of the share of channels that is removed


def prune_evenly_to_latency(
    model: nn.Module,
    task: Task,
    *,
    latency_ratio: float,
    runtime: str,
    scope: str = "uniform",
    importance: str = "l2",
    round_to: int = 8,
    threads: int = 1,
    seed: int = 0,
) -> nn.Module:
    """Of the networks that ever larger shares of removed channels leave, the one with the most MACs whose file in `runtime`
    takes at most `latency_ratio` of the model's time. Not yet fine-tuned.

    A network that was fast enough is timed again, so that a lucky timing is not taken. Raises BadInput for a ratio outside
    (0, 1) and as `prune` does, Unsupported when every network takes longer.
    """
    check_latency_target(latency_ratio, runtime, round_to, scope)
    clock = partial(file_latencies, task=task, runtime_name=runtime, threads=threads)
    networks = every_share(model, task, scope=scope, importance=importance, round_to=round_to, seed=seed)
    dense, *latencies = clock([model, *networks])
    fast = [net for net, latency in zip(networks, latencies, strict=True) if latency <= latency_ratio * dense]
    for net in sorted(fast, key=lambda net: -count_macs(net, task.input_shape)):
        dense, latency = clock([model, net])
        if latency <= latency_ratio * dense:
            return net
    lowest = min((latency / dense for latency in latencies), default=1.0)
    reached = f"{scope} pruning in multiples of {round_to} reaches {lowest:.2f} of the latency in {runtime}"
    raise Unsupported(f"{reached}, {latency_ratio} is requested")


def every_share(model: nn.Module, task: Task, *, scope: str, importance: str, round_to: int, seed: int) -> list[nn.Module]:
    """The different networks that are left when ever larger shares of the channels are removed, from most to fewest channels."""
    ranking = rank_channels(model, task, importance=importance, seed=seed)
    shares = [number / N_SHARES for number in range(1, N_SHARES)]
    counts = [channels_to_keep(ranking, share, scope=scope, round_to=round_to) for share in shares]
    different = {tuple(remaining.values()): remaining for remaining in counts if remaining != ranking.channels}
    return [remove(model, task.input_shape, ranking, remaining) for remaining in different.values()]
