"""A measuring session: every file in a process of its own, scored, then timed in turn on a quiet machine.

Ratios of latencies exist inside a session only.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgebook import lock
from edgebook.boards import local
from edgebook.boards.board import Board
from edgebook.boards.worker import Worker
from edgebook.errors import Unsupported
from edgebook.files import scratch
from edgebook.measure import machine, repeat
from edgebook.measure.archive import Archive, digests, timing_key
from edgebook.measure.latency import latency_columns
from edgebook.measure.measured import TIMING, Measured, Session
from edgebook.measure.scoring import Inputs, load, put_item, score
from edgebook.measure.timing import time_files
from edgebook.naming import short_id
from edgebook.runtimes.base import Artifact, runtime, source_path

__all__ = ["Measured", "measure_files"]
# fields that files of the same bytes share
OF_SCORES = ("outputs", "items", "error", "unsupported", "kernel_error", "not_scored")
FAILURES = (RuntimeError, OSError, ValueError)  # of one file: the session goes on


def measure_files(
    artifacts: list[Artifact],
    splits: dict[str, np.ndarray],
    *,
    seconds: float,
    threads: int = 1,
    who: str = "measure",
    folder: Path | None = None,
    bases: Sequence[int | None] | None = None,
    board: Board = local.BOARD,
) -> list[Measured]:
    """Score every file on every split, then time all of them in turn for `seconds` each (at most twice that when other work
    disturbs; 0: not at all). The result of a file that fails has its reason.

    folder: of measurements that are kept, see `archive`. What is found there is not measured again; timings are found with a
    session in which the base was timed too, and every base is in the new session. bases: for each file the index of its base.
    board: where the files run.
    """
    keys = [timing_key(artifact, seconds, threads) if folder else str(n) for n, artifact in enumerate(artifacts)]
    results = [Measured(artifact, key=key) for artifact, key in zip(artifacts, keys, strict=True)]
    archive = Archive(folder, digests(splits), threads) if folder else None
    scorers = _scored_for(artifacts)
    to_score = {index for index in set(scorers) if not (archive and archive.find_scores(results[index]))}
    to_time = _lacking_timings(results, bases or [None] * len(results), archive) if seconds else set()
    with scratch() as temporary:
        started = _Started(results, Inputs(splits, temporary), to_score, archive, threads, board)
        try:
            with lock.training(), ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // threads)) as pool:
                list(pool.map(started.start, sorted(to_score | to_time)))
            for result, scorer in zip(results, scorers, strict=True):
                for name in OF_SCORES:
                    setattr(result, name, getattr(results[scorer], name))
            started.close(started.workers.keys() - to_time)
            _time(started.workers, results, to_time, seconds=seconds, who=who, board=board)
        finally:
            started.close(set(started.workers))
    if archive:
        archive.keep(results, to_time, bases or [])
    return results


def median_ms(files: list[Artifact], *, seconds: float, threads: int, who: str) -> list[float]:
    """Median milliseconds of each file, all timed in turn in one session; disturbed blocks are left out.

    Raises RuntimeError when one cannot be timed.
    """
    results = measure_files(files, {}, seconds=seconds, threads=threads, who=who)
    if error := next((result.error for result in results if result.error), None):
        raise RuntimeError(error)
    return [latency_columns(result)["latency_ms_p50"] for result in results]


@dataclass
class _Started:
    """The workers of a session by the index of their file, and what they need."""

    results: list[Measured]
    inputs: Inputs
    to_score: set[int]
    archive: Archive | None
    threads: int
    board: Board
    workers: dict[int, Worker] = field(default_factory=dict)

    def start(self, index: int) -> None:
        """Start the process of a file, and score the file unless its scores are there; what fails is its error."""
        result = self.results[index]
        try:
            worker = self.workers[index] = Worker(
                result.artifact, self.threads, self.board.limit_s, self.inputs.shape, self.board
            )
            load(worker, result, self.inputs)
            if result.not_scored:
                return
            if index not in self.to_score:
                put_item(worker, result, self.inputs, str(index))
                return
            score(worker, result, self.inputs, str(index))
            repeat.ask_again(worker, result, self.inputs, str(index))
            self.workers[index] = repeat.compare_kernels(worker, result, self.inputs, str(index))
            if self.archive:
                self.archive.keep_scores(result)
        except Unsupported as error:
            result.error, result.unsupported = str(error), error.code
        except FAILURES as error:
            result.error = str(error)

    def close(self, indices: set[int]) -> None:
        """End the processes of these files."""
        for index in indices:
            self.workers.pop(index).close()


def _lacking_timings(results: list[Measured], bases: Sequence[int | None], archive: Archive | None) -> set[int]:
    """The files whose time means something and was not kept; with them the bases, so that the session has both."""
    timed = {index for index, result in enumerate(results) if runtime(result.artifact.runtime).has_latency}
    lacking = timed - (archive.find_timings(results, bases) if archive else set())
    return lacking | (timed & set(bases) if lacking else set())


def _time(
    workers: dict[int, Worker], results: list[Measured], to_time: set[int], *, seconds: float, who: str, board: Board
) -> None:
    """Time files in a session of their own, which is also that of results without a time."""
    session = Session(short_id(who, time.time()), (board.describe or machine.describe)())
    for index, result in enumerate(results):
        if index in to_time:
            result.forget_timing()
        if index in to_time or result.session is None:
            result.session = session
    if workers:
        with lock.measuring(who):
            time_files(workers, results, seconds=seconds)
    after = (board.describe or machine.describe)() if workers else {}
    session.machine.update({f"{name}_after": after.get(name) for name in ("temperature_c", "throttled") if name in after})
    for index in to_time:
        session.timings[results[index].key] = {name: getattr(results[index], name) for name in TIMING}


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
