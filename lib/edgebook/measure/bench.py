"""One file in its runtime, in a process of its own: a crash, a hang and the peak of memory stay here.

Stand-alone: numpy and one runtime are all it imports, so the package can be copied to a board and started over SSH:
`python -m edgebook.measure.bench onnx model.onnx --threads 1` reads one JSON command a line and answers with one.
Commands: {"do": "score", "x": x.npy, "y": out.npy}, {"do": "warm"}, {"do": "time", "seconds": 0.02}, {"do": "memory"},
{"do": "inspect"}.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgebook.errors import BadInput
from edgebook.runtimes import Program, runtime, sidecar


def peak_bytes() -> int:
    """Peak resident memory of this process. ru_maxrss is not used on Linux: a child inherits its parent's there."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) * 1024
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def score(program: Program, command: dict) -> dict:
    """Outputs for every item of the .npy `x`, written to the .npy `y`, float32 (n, n_outputs)."""
    x = np.load(command["x"], mmap_mode="r")
    started = time.perf_counter()
    outputs = program.predict(x)
    seconds = time.perf_counter() - started
    np.save(command["y"], outputs)
    if program.any_batch:
        program.put(np.array(x[:1]))  # what is timed later is one item
    return {"ms_per_item": seconds * 1e3 / len(x)}


def run_block(invoke: Callable, seconds: float, at_least: int = 3) -> np.ndarray:
    """Nanoseconds of each call, called back to back for `seconds`."""
    clock, calls, end = time.perf_counter_ns, [], time.perf_counter_ns() + int(seconds * 1e9)
    while True:
        before = clock()
        invoke()
        after = clock()
        calls.append(after - before)
        if after >= end and len(calls) >= at_least:
            return np.array(calls)


def warm(program: Program, command: dict) -> dict:
    """Call until two blocks in a row agree within 2 %, at most `seconds`."""
    end, last, block = time.perf_counter() + command.get("seconds", 1.0), None, None
    while time.perf_counter() < end:
        last, block = block, np.median(run_block(program.invoke, 0.01))
        if last is not None and abs(block / last - 1) < 0.02:
            break
    return {"steady": bool(last is not None and abs(block / last - 1) < 0.02)}


def time_block(program: Program, command: dict) -> dict:
    """One block: the caches are warmed by a tenth of it first, since other files ran in between. `probe_ns` tells
    what else the machine did: the same small matrix product takes longer when another process uses the core's parts.
    """
    run_block(program.invoke, 0.1 * command["seconds"], at_least=2)
    before = probe_ns()
    calls = run_block(program.invoke, 0.9 * command["seconds"])
    return {
        "p50_ms": float(np.median(calls)) / 1e6, "p90_ms": float(np.quantile(calls, 0.9)) / 1e6, "n": len(calls),
        "probe_ns": max(before, probe_ns()),
    }  # fmt: skip


_WORK = np.full((48, 48), 0.5, np.float32)
_RESULT = np.empty_like(_WORK)


def probe_ns() -> float:
    """Median time of the fixed piece of work, about 6 us."""
    return float(np.median(run_block(lambda: np.dot(_WORK, _WORK, _RESULT), 0.0, at_least=7)))


def inspect(module, path: Path) -> dict:
    """What the runtime module tells about the file; the reason when it cannot: a figure less, not a failed file."""
    try:
        return {"found": module.inspect(path) if hasattr(module, "inspect") else {}}
    except Exception as error:
        return {"found": {"not_inspected": f"{type(error).__name__}: {error}"[:200]}}


def pin(threads: int) -> None:
    """Keep this process on as many cores as it has threads, the last ones: the first is where interrupts land."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])


def one_line(error: Exception) -> str:
    """The first line of an error, with its type unless the message was written for the user."""
    words = (str(error).splitlines() or [""])[0]
    return (words if isinstance(error, BadInput) else f"{type(error).__name__}: {words}")[:300]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runtime")
    parser.add_argument("path", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--shape", type=int, nargs="*", help="of an item, for files that leave sizes open")
    arguments = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # runtimes print on stdout: their words go to stderr

    def answer(**values) -> None:
        answers.write(json.dumps(values) + "\n")

    try:
        module = runtime(arguments.runtime)
        module.preload()
        empty = peak_bytes()
        item = {"shape": tuple(arguments.shape)} if arguments.shape and getattr(module, "OPEN_SHAPES", False) else {}
        program = sidecar.prepared(module.load(arguments.path, threads=arguments.threads, **item), arguments.path)
        program.put(np.zeros((program.batch, *program.input_shape), np.float32))
        program.invoke()
        answer(ok=True, input_shape=[int(size) for size in program.input_shape], batch=program.batch)
        commands = {
            "score": score,
            "warm": warm,
            "time": time_block,
            "memory": lambda *_: {"rss_bytes": peak_bytes() - empty},
            "inspect": lambda *_: inspect(module, arguments.path),
        }
        for line in sys.stdin:
            command = json.loads(line)
            if command["do"] in ("warm", "time"):
                pin(arguments.threads)
            answer(ok=True, **commands[command["do"]](program, command))
    except Exception as error:  # whatever a runtime raises becomes one line for the row
        answer(ok=False, error=one_line(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
