"""A measuring session: every file in a process of its own, scored, then timed in turn on a quiet machine.

Blocks go round-robin over all files, so that a drift of the machine hits all alike; ratios exist inside a session only.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgebook import lock
from edgebook.runtimes import Artifact, runtime

SLOW_MS = 0.5  # a runtime slower than this an item scores a fixed subset
SUBSET = 1000
SUBSET_SEED = 0


@dataclass
class Measured:
    """What one file showed. `error` says why the rest is missing; items index the split that was scored."""

    artifact: Artifact
    error: str | None = None
    outputs: dict[str, np.ndarray] = field(default_factory=dict)  # split -> (n, n_outputs)
    items: dict[str, np.ndarray] = field(default_factory=dict)  # split -> which items, (n,)
    rss_bytes: int | None = None
    blocks_p50: list[float] = field(default_factory=list)  # ms, one a round
    blocks_p90: list[float] = field(default_factory=list)
    n_calls: int = 0
    steady: bool = True


class Worker:
    """The process of one file: `ask` sends a command and waits for its answer, never longer than the limit."""

    def __init__(self, artifact: Artifact, threads: int, limit_s: float):
        self.limit_s = limit_s
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as the worker
        command = [sys.executable, "-m", "edgebook.measure.bench", artifact.runtime, str(artifact.path)]
        quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(
            [*command, "--threads", str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
            env=quiet, bufsize=0,
        )  # fmt: skip

    def ask(self, **command) -> dict:
        """The answer to a command; without one, the first answer (that the file is loaded). Raises RuntimeError."""
        if command:
            with contextlib.suppress(BrokenPipeError):  # its last words are read below
                self.process.stdin.write((json.dumps(command) + "\n").encode())
        ready, _, _ = select.select([self.process.stdout], [], [], self.limit_s)
        if not ready:
            self.close()
            raise RuntimeError(f"no answer within {self.limit_s:g} s")
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process died: {self._last_words()}")
        answer = json.loads(line)
        if not answer.pop("ok"):
            raise RuntimeError(answer["error"])
        return answer

    def _last_words(self) -> str:
        code = self.process.wait()
        self.errors.seek(0)
        words = self.errors.read().decode(errors="replace").strip().splitlines()
        return f"exit {code}{', ' + words[-1][:200] if words else ''}"

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def measure_files(
    artifacts: list[Artifact], splits: dict[str, np.ndarray], *, seconds: float, threads: int = 1, who: str = "measure",
    limit_s: float = 120.0, n_rounds: int = 25,
) -> list[Measured]:  # fmt: skip
    """Score every file on every split, then time all of them in turn for `seconds` each. A file that fails says why."""
    found = [Measured(artifact) for artifact in artifacts]
    cores = max(1, (os.cpu_count() or 1) // threads)
    workers: dict[int, Worker] = {}
    with tempfile.TemporaryDirectory() as folder:
        inputs = {split: _save(Path(folder) / f"{split}.npy", x) for split, x in splits.items()}

        def start(index: int) -> None:
            try:
                workers[index] = Worker(artifacts[index], threads, limit_s)
                _score(workers[index], found[index], splits, inputs, Path(folder) / str(index))
            except (RuntimeError, OSError, ValueError) as error:
                found[index].error = str(error)

        try:
            with ThreadPoolExecutor(cores) as pool:
                list(pool.map(start, range(len(artifacts))))
            with lock.measuring(who):
                _time(workers, found, seconds=seconds, n_rounds=n_rounds)
        finally:
            for worker in workers.values():
                worker.close()
    return found


def _save(path: Path, x: np.ndarray) -> Path:
    np.save(path, np.ascontiguousarray(x, dtype=np.float32))
    return path


def subset(n: int) -> np.ndarray:
    """The items that a slow runtime scores: always the same, in order."""
    if n <= SUBSET:
        return np.arange(n)
    return np.sort(np.random.default_rng(SUBSET_SEED).choice(n, SUBSET, replace=False))


def _score(worker: Worker, result: Measured, splits: dict, inputs: dict, prefix: Path) -> None:
    """Memory first (scoring maps the whole split), then one warm call tells slow runtimes, then every split."""
    shape = tuple(worker.ask()["input_shape"])
    for x in splits.values():
        if shape != x.shape[1:]:
            raise ValueError(f"the file's input is {shape}, the task's {x.shape[1:]}")
    worker.ask(do="warm", seconds=0.05)
    result.rss_bytes = worker.ask(do="memory")["rss_bytes"]
    slow = worker.ask(do="time", seconds=0.02)["p50_ms"] > SLOW_MS and result.artifact.runtime not in ("torch", "packed")
    for split, x in splits.items():
        result.items[split] = subset(len(x)) if slow else np.arange(len(x))
        source = _save(prefix.with_suffix(f".{split}.x.npy"), x[result.items[split]]) if slow else inputs[split]
        target = prefix.with_suffix(f".{split}.npy")
        worker.ask(do="score", x=str(source), y=str(target))
        result.outputs[split] = np.load(target)


def timed(artifact: Artifact) -> bool:
    """Whether the time of a call means anything: not for files that are decoded to run."""
    return getattr(runtime(artifact.runtime), "TIMED", True)


def _time(workers: dict[int, Worker], found: list[Measured], *, seconds: float, n_rounds: int) -> None:
    """Round-robin blocks in a new random order each round; a file that dies here keeps its score and says why."""
    alive = {index: worker for index, worker in workers.items() if not found[index].error and timed(found[index].artifact)}
    shuffle = random.Random(0)
    order = list(alive)
    for index in order:
        _try(found[index], lambda index=index: setattr(found[index], "steady", alive[index].ask(do="warm")["steady"]))
    for _ in range(n_rounds):
        shuffle.shuffle(order)
        for index in order:
            if not found[index].error:
                _try(found[index], lambda index=index: _block(alive[index], found[index], seconds / n_rounds))


def _block(worker: Worker, result: Measured, seconds: float) -> None:
    block = worker.ask(do="time", seconds=seconds)
    result.blocks_p50.append(block["p50_ms"])
    result.blocks_p90.append(block["p90_ms"])
    result.n_calls += block["n"]


def _try(result: Measured, step) -> None:
    try:
        step()
    except (RuntimeError, OSError, ValueError) as error:
        result.error = str(error)
