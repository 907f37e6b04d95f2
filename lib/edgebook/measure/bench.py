"""One file in its runtime, in a process of its own: a crash, a hang and the peak of memory stay here.

Stand-alone: numpy and one runtime are all it imports, so the package can be copied to a board and started over SSH:
`python -m edgebook.measure.bench onnx model.onnx --threads 1` reads one JSON command a line and answers with one.
Commands: {"do": "score", "x": x.npy, "y": out.npy}, {"do": "warm"}, {"do": "time", "seconds": 0.02}, {"do": "memory"}.
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

from edgebook.runtimes import Program, runtime


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
    program.put(np.array(x[:1]))  # what is timed later is one item, also where `predict` took them all at once
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
    """One block: the caches are warmed by a tenth of it first, since other files ran in between."""
    run_block(program.invoke, command["seconds"] / 10, at_least=2)
    calls = run_block(program.invoke, command["seconds"])
    return {"p50_ms": float(np.median(calls)) / 1e6, "p90_ms": float(np.quantile(calls, 0.9)) / 1e6, "n": len(calls)}


def pin(threads: int) -> None:
    """Keep this process on as many cores as it has threads, the last ones: the first is where interrupts land."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runtime")
    parser.add_argument("path", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # runtimes print on stdout: their words go to stderr

    def answer(**values) -> None:
        answers.write(json.dumps(values) + "\n")

    try:
        module = runtime(arguments.runtime)
        module.preload()
        empty = peak_bytes()
        program = module.load(arguments.path, threads=arguments.threads)
        program.put(np.zeros((1, *program.input_shape), np.float32))
        program.invoke()
        answer(ok=True, input_shape=[int(size) for size in program.input_shape])
        commands = {
            "score": score,
            "warm": warm,
            "time": time_block,
            "memory": lambda *_: {"rss_bytes": peak_bytes() - empty},
        }
        for line in sys.stdin:
            command = json.loads(line)
            if command["do"] in ("warm", "time"):
                pin(arguments.threads)
            answer(ok=True, **commands[command["do"]](program, command))
    except Exception as error:  # whatever a runtime raises becomes one line for the row
        answer(ok=False, error=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:300])
        sys.exit(1)


if __name__ == "__main__":
    main()
