"""A measuring session: every file in a process of its own, scored, then timed in turn on a quiet machine.

Ratios of latencies exist inside a session only.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgebook import lock
from edgebook.boards.worker import Worker
from edgebook.measure.scoring import Inputs, score
from edgebook.measure.timing import time_files
from edgebook.runtimes.base import Artifact, runtime, source_path

FAILURES = (RuntimeError, OSError, ValueError)  # of one file: the session goes on


@dataclass
class Measured:
    """What measuring showed of one file. `error` says why the rest is missing; items index the split that was scored."""

    artifact: Artifact
    error: str | None = None
    outputs: dict[str, np.ndarray] = field(default_factory=dict)  # split -> float32 (n, ...)
    items: dict[str, np.ndarray] = field(default_factory=dict)  # split -> which items, (n,)
    rss_bytes: int | None = None
    blocks_p50: list[float] = field(default_factory=list)  # ms, one per round
    blocks_p90: list[float] = field(default_factory=list)
    probes: list[float] = field(default_factory=list)  # ns, what a fixed piece of work took around each block
    process: list[int] = field(default_factory=list)  # in which of the file's processes the block ran
    quiet: list[bool] = field(default_factory=list)  # whether nothing else disturbed the block
    n_calls: int = 0
    steady: bool = True
    inspected: dict[str, Any] = field(default_factory=dict)  # what the runtime's `inspect` tells
    batch: int = 1  # items that one call takes
    transposed: bool = False  # the file takes channels last, the task's items were transposed


def measure_files(
    artifacts: list[Artifact],
    splits: dict[str, np.ndarray],
    *,
    seconds: float,
    threads: int = 1,
    who: str = "measure",
    limit_s: float = 120.0,
) -> list[Measured]:
    """Score every file on every split, then time all of them in turn for `seconds` each (at most twice that when other work
    disturbs). The result of a file that fails has its reason; `limit_s` ends one that does not answer.
    """
    results = [Measured(artifact) for artifact in artifacts]
    scorers = _scored_for(artifacts)
    workers: dict[int, Worker] = {}
    with tempfile.TemporaryDirectory() as folder:
        inputs = Inputs(splits, Path(folder))

        def start(index: int) -> None:
            try:
                workers[index] = Worker(artifacts[index], threads, limit_s, inputs.shape)
                score(workers[index], results[index], inputs, str(index))
            except FAILURES as error:
                results[index].error = str(error)

        try:
            with lock.training(), ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // threads)) as pool:
                list(pool.map(start, [index for index, scorer in enumerate(scorers) if index == scorer]))
            for result, scorer in zip(results, scorers, strict=True):
                scored = results[scorer]
                result.outputs, result.items, result.error = scored.outputs, scored.items, scored.error
            with lock.measuring(who):
                time_files(workers, results, seconds=seconds)
        finally:
            for worker in workers.values():
                worker.close()
    return results


def _scored_for(artifacts: list[Artifact]) -> list[int]:
    """For every artifact the index of the one that is scored for it: itself, or, where its time means nothing, the first with
    outputs of the same bytes. Outputs of a file that is scored by its source are those of the file that it was made from.
    """
    first: dict[tuple[str, str], int] = {}
    scorers = []
    for index, artifact in enumerate(artifacts):
        record = runtime(artifact.runtime)
        runs, file = artifact.runtime, artifact.path
        if record.scored_by_source:
            runs, file = record.parent or runs, source_path(file)
        same = runs, hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else str(file)
        scorers.append(index if record.has_latency else first.get(same, index))
        first.setdefault(same, index)
    return scorers
