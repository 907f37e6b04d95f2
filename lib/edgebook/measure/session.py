"""A measuring session: every file in a process of its own, scored, then timed in turn on a quiet machine.

Blocks go round-robin over all files, so that a drift of the machine hits all alike; ratios exist inside a session only.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgebook import lock, runtimes
from edgebook.runtimes import Artifact, has_latency

SLOW = ((20.0, 100), (5.0, 250), (0.5, 1000))  # ms an item, and how many items a runtime scores that is slower than that
SUBSET_SEED = 0
BLOCK_S = 0.02  # short blocks, so that all files of a round meet the same machine
ROUNDS = (10, 100)  # at least, at most
RESTART_S = 0.5  # from this much timing on, a file is timed in several processes: memory may lie badly in one
PROCESSES = 4
DISTURBED = 1.1  # the probe took this much longer than on the quiet machine


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
    probes: list[float] = field(default_factory=list)  # ns, what a fixed piece of work took around each block
    process: list[int] = field(default_factory=list)  # in which of the file's processes the block ran
    quiet: list[bool] = field(default_factory=list)  # whether nothing else disturbed the block
    n_calls: int = 0
    steady: bool = True
    found: dict = field(default_factory=dict)  # what the runtime's `inspect` tells: plain data
    batch: int = 1  # items that one call takes
    transposed: bool = False  # the file wants channels last, the task's items were turned


class Worker:
    """The process of one file: `ask` sends a command and waits for its answer, never longer than the limit."""

    def __init__(self, artifact: Artifact, threads: int, limit_s: float, shape: tuple[int, ...] = ()):
        self.artifact, self.threads, self.limit_s, self.shape = artifact, threads, limit_s, shape
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as the worker
        command = [sys.executable, "-m", "edgebook.measure.bench", artifact.runtime, str(artifact.path)]
        command += ["--threads", str(threads), "--shape", *map(str, shape)]
        quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, env=quiet, bufsize=0
        )

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
        if code < 0:
            return f"killed by {signal.Signals(-code).name}; the file is corrupt or its runtime cannot run it"
        self.errors.seek(0)
        words = self.errors.read().decode(errors="replace").strip().splitlines()
        return f"exit {code}{', ' + words[-1][:200] if words else ''}"

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def measure_files(
    artifacts: list[Artifact], splits: dict[str, np.ndarray], *, seconds: float, threads: int = 1, who: str = "measure",
    limit_s: float = 120.0,
) -> list[Measured]:  # fmt: skip
    """Score every file on every split, then time all of them in turn for `seconds` each (at most twice that when other
    work disturbs). A file that fails says why.
    """
    found = [Measured(artifact) for artifact in artifacts]
    cores = max(1, (os.cpu_count() or 1) // threads)
    workers: dict[int, Worker] = {}
    with tempfile.TemporaryDirectory() as folder:
        inputs = {split: _save(Path(folder) / f"{split}.npy", x) for split, x in splits.items()}

        shape = next((x.shape[1:] for x in splits.values()), ())

        def start(index: int) -> None:
            try:
                workers[index] = Worker(artifacts[index], threads, limit_s, shape)
                _score(workers[index], found[index], splits, inputs, Path(folder) / str(index))
            except (RuntimeError, OSError, ValueError) as error:
                found[index].error = str(error)

        first = _first_with_the_same_answers(artifacts)
        try:
            with lock.training(), ThreadPoolExecutor(cores) as pool:
                list(pool.map(start, [index for index, other in enumerate(first) if index == other]))
            for result, other in zip(found, first, strict=True):
                result.outputs, result.items, result.error = found[other].outputs, found[other].items, found[other].error
            with lock.measuring(who):
                _time(workers, found, seconds=seconds)
        finally:
            for worker in workers.values():
                worker.close()
    return found


def _first_with_the_same_answers(artifacts: list[Artifact]) -> list[int]:
    """For every artifact the index of the one that is scored for it: itself, or, where its time means nothing, the first
    that answers from the same bytes. An accelerator's answers are those of the file that was compiled for it.
    """
    known: dict[tuple[str, str], int] = {}
    found = []
    for index, artifact in enumerate(artifacts):
        module = runtimes.runtime(artifact.runtime)
        by, file = (
            (module.PARENT, module.source(artifact.path)) if hasattr(module, "source") else (artifact.runtime, artifact.path)
        )
        same = by, hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else str(file)
        found.append(index if has_latency(artifact.runtime) else known.get(same, index))
        known.setdefault(same, index)
    return found


def _save(path: Path, x: np.ndarray) -> Path:
    np.save(path, np.ascontiguousarray(x, dtype=np.float32))
    return path


def subset(n: int, ms: float) -> np.ndarray:
    """Which of n items a runtime scores that takes `ms` an item: always the same, in order, the few among the many."""
    most = next((items for limit, items in SLOW if ms > limit), n)
    return np.sort(np.random.default_rng(SUBSET_SEED).permutation(n)[:most])


def _score(worker: Worker, result: Measured, splits: dict, inputs: dict, prefix: Path) -> None:
    """Memory first (scoring maps the whole split), then one warm call tells slow runtimes, then every split."""
    loaded = worker.ask()
    shape, result.batch = tuple(loaded["input_shape"]), loaded["batch"]
    result.transposed = any(_must_turn(shape, x.shape[1:]) for x in splits.values())
    worker.ask(do="warm", seconds=0.05)
    if has_latency(result.artifact.runtime):
        result.rss_bytes = worker.ask(do="memory")["rss_bytes"]
    ms = 0.0 if result.artifact.runtime in ("torch", "packed") else worker.ask(do="time", seconds=0.02)["p50_ms"]
    for split, x in splits.items():
        result.items[split] = subset(len(x), ms)
        source = inputs[split]
        if len(result.items[split]) < len(x) or result.transposed:
            own = x[result.items[split]]
            source = _save(prefix.with_suffix(f".{split}.x.npy"), np.moveaxis(own, 1, -1) if result.transposed else own)
        target = prefix.with_suffix(f".{split}.npy")
        worker.ask(do="score", x=str(source), y=str(target))
        result.outputs[split] = np.load(target).reshape(len(result.items[split]), -1)  # some files answer (1, n, 1, 1)
        if not np.isfinite(result.outputs[split]).all():
            raise ValueError("the file gives outputs that are not finite numbers")
    result.found = worker.ask(do="inspect")["found"]


def _must_turn(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether the file takes (H, W, C) where the task has (C, H, W). Raises ValueError when that does not fit either."""
    if shape == wanted:
        return False
    if len(wanted) > 1 and shape == (*wanted[1:], wanted[0]):
        return True
    raise ValueError(f"the file's input is {shape}, the task's {wanted}")


def _time(workers: dict[int, Worker], found: list[Measured], *, seconds: float) -> None:
    """Round-robin blocks in a new random order each round; a file that dies here keeps its score and says why."""
    shuffle = random.Random(0)
    order = [index for index in workers if not found[index].error and has_latency(found[index].artifact.runtime)]
    n_rounds = min(max(round(seconds / BLOCK_S), ROUNDS[0]), ROUNDS[1])
    for index in order:
        _try(found[index], lambda index=index: setattr(found[index], "steady", workers[index].ask(do="warm")["steady"]))
    turn = -(-n_rounds // PROCESSES) if seconds >= RESTART_S else 2 * n_rounds  # rounds that one process lives
    for number in range(2 * n_rounds):
        if number >= n_rounds and _enough(found, n_rounds // 2):
            break
        if number and number % turn == 0:
            _restart({index: workers[index] for index in order}, workers, found)
        shuffle.shuffle(order)
        for index in order:
            if not found[index].error:
                found[index].process.append(number // turn)
                _try(found[index], lambda index=index: _block(workers[index], found[index], seconds / n_rounds))
    mark_quiet(found)


def _restart(timed: dict[int, Worker], workers: dict[int, Worker], found: list[Measured]) -> None:
    """Every file in a new process: now and then one is 3 % slower for as long as it lives, for no reason of the file's."""
    for index, old in timed.items():
        old.close()
        workers[index] = Worker(old.artifact, old.threads, old.limit_s, old.shape)
    for index in timed:
        if not found[index].error:
            _try(found[index], lambda index=index: workers[index].ask() and workers[index].ask(do="warm"))


def _block(worker: Worker, result: Measured, seconds: float) -> None:
    block = worker.ask(do="time", seconds=seconds)
    result.blocks_p50.append(block["p50_ms"])
    result.blocks_p90.append(block["p90_ms"])
    result.probes.append(block["probe_ns"])
    result.n_calls += block["n"]


def mark_quiet(found: list[Measured]) -> None:
    """Set `quiet`. The probe decides, never the block's own time: to leave out slow blocks would flatter a file."""
    probes = [probe for result in found for probe in result.probes]
    if probes:
        limit = DISTURBED * float(np.quantile(probes, 0.05))
        for result in found:
            result.quiet = [probe <= limit for probe in result.probes]


def _enough(found: list[Measured], least: int) -> bool:
    """Whether every file that is timed has `least` undisturbed blocks."""
    mark_quiet(found)
    return all(sum(result.quiet) >= least for result in found if result.probes and not result.error)


def _try(result: Measured, step) -> None:
    try:
        step()
    except (RuntimeError, OSError, ValueError) as error:
        result.error = str(error)
