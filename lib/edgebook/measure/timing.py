"""Files timed in turn: round-robin in short blocks, so that a drift of the machine hits all alike."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from edgebook.boards.worker import Worker
from edgebook.runtimes.base import runtime

if TYPE_CHECKING:
    from edgebook.measure.session import Measured

BLOCK_S = 0.02  # short blocks, so that all files of a round meet the same machine
ROUNDS = (10, 100)  # at least, at most
RESTART_S = 0.5  # from this much timing on, a file is timed in several processes: memory may lie badly in one
PROCESSES = 4
DISTURBED = 1.1  # the probe took this much longer than on the quiet machine


def time_files(workers: dict[int, Worker], results: list[Measured], *, seconds: float) -> None:
    """Time every file whose time means something, in a new random order each round. A file that fails here keeps its scores,
    and its reason. Workers that are replaced on the way are replaced in `workers` too.
    """
    order = [index for index in workers if not results[index].error and runtime(results[index].artifact.runtime).has_latency]
    n_rounds = min(max(round(seconds / BLOCK_S), ROUNDS[0]), ROUNDS[1])
    for index in order:
        _try(results[index], lambda index=index: _warm(workers[index], results[index]))
    rounds_per_process = -(-n_rounds // PROCESSES) if seconds >= RESTART_S else 2 * n_rounds
    shuffle = random.Random(0)
    for number in range(2 * n_rounds):
        if number >= n_rounds and _enough(results, n_rounds // 2):
            break
        if number and number % rounds_per_process == 0:
            _restart(order, workers, results)
        shuffle.shuffle(order)
        for index in order:
            if not results[index].error:
                results[index].process.append(number // rounds_per_process)
                _try(results[index], lambda index=index: _block(workers[index], results[index], seconds / n_rounds))
    mark_quiet(results)


def mark_quiet(results: list[Measured]) -> None:
    """Set `quiet` of every result. The probe decides, never the block's own time: to leave out slow blocks would flatter a
    file.
    """
    probes = [probe for result in results for probe in result.probes]
    if probes:
        limit = DISTURBED * float(np.quantile(probes, 0.05))
        for result in results:
            result.quiet = [probe <= limit for probe in result.probes]


def _warm(worker: Worker, result: Measured) -> None:
    result.steady = worker.ask(do="warm")["steady"]


def _restart(order: list[int], workers: dict[int, Worker], results: list[Measured]) -> None:
    """Every file in a new process: now and then one is 3 % slower for as long as it lives, whatever the file."""
    for index in order:
        workers[index] = workers[index].again()
    for index in order:
        if not results[index].error:
            _try(results[index], lambda index=index: workers[index].ask() and workers[index].ask(do="warm"))


def _block(worker: Worker, result: Measured, seconds: float) -> None:
    block = worker.ask(do="time", seconds=seconds)
    result.blocks_p50.append(block["p50_ms"])
    result.blocks_p90.append(block["p90_ms"])
    result.probes.append(block["probe_ns"])
    result.n_calls += block["n"]


def _enough(results: list[Measured], least: int) -> bool:
    """Whether every file that is timed has `least` undisturbed blocks."""
    mark_quiet(results)
    return all(sum(result.quiet) >= least for result in results if result.probes and not result.error)


def _try(result: Measured, step: Callable[[], Any]) -> None:
    try:
        step()
    except (RuntimeError, OSError, ValueError) as error:
        result.error = str(error)
