"""One file in its runtime, in a process of its own: a crash, a hang and the peak of memory stay here.

Stands alone: numpy and one runtime are all that it imports, so that the package can be copied to a board and started there:
`python -m edgebook.measure.bench onnx model.onnx --threads 1` reads one JSON command per line and answers each with one line.
Commands: {"do": "score", "x": x.npy, "y": out.npy}, {"do": "plain", "x": x.npy, "y": out.npy}, {"do": "warm"},
{"do": "time", "seconds": 0.02}, {"do": "memory"}, {"do": "inspect"}. It ends some seconds after its stdin is closed, also in
the middle of an endless call.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgebook.errors import BadInput, one_line
from edgebook.runtimes import sidecar
from edgebook.runtimes.base import Program, Runtime, runtime
from edgebook.runtimes.random_operators import why_random

STEADY = 0.02  # two blocks in a row that differ by less than this share
WATCH_MS = 5000  # after which the watcher checks that this process still lives
GRACE_S = 3.0  # for the commands that were sent before stdin was closed
_WORK = np.full((48, 48), 0.5, np.float32)
_RESULT = np.empty_like(_WORK)


def peak_bytes() -> int:
    """Peak resident memory of this process. ru_maxrss is not used on Linux: a child inherits its parent's there."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) * 1024
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def score(program: Program, command: dict[str, Any]) -> dict[str, Any]:
    """Outputs for every item of the .npy `x`, written to the .npy `y`, float32 (n, ...)."""
    x = np.load(command["x"], mmap_mode="r")
    np.save(command["y"], program.predict(x))
    if program.any_batch:
        program.put(np.array(x[:1]))  # what is timed later is one item
    return {}


def run_block(invoke: Callable[[], Any], seconds: float, at_least: int = 3) -> np.ndarray:
    """Nanoseconds of each call, called back to back for `seconds`."""
    clock, calls, end = time.perf_counter_ns, [], time.perf_counter_ns() + int(seconds * 1e9)
    while True:
        before = clock()
        invoke()
        after = clock()
        calls.append(after - before)
        if after >= end and len(calls) >= at_least:
            return np.array(calls)


def warm(program: Program, command: dict[str, Any]) -> dict[str, Any]:
    """Call until the medians of two blocks in a row agree, at most `seconds`; whether they did."""
    end, last, block = time.perf_counter() + command.get("seconds", 1.0), None, None
    while time.perf_counter() < end:
        last, block = block, np.median(run_block(program.invoke, 0.01))
        if last is not None and abs(block / last - 1) < STEADY:
            return {"steady": True}
    return {"steady": False}


def time_block(program: Program, command: dict[str, Any]) -> dict[str, Any]:
    """One block: the caches are warmed by a tenth of it first, since other files ran in between. `probe_ns` shows whether
    other work disturbed it: the same small matrix product takes longer when another process uses parts of the core. A file that
    takes an item in several calls gets their number times the time of one: the caller's own loop is not the runtime's.
    """
    run_block(program.invoke, 0.1 * command["seconds"], at_least=2)
    before = probe_ns()
    calls = run_block(program.invoke, 0.9 * command["seconds"])
    return {
        "p50_ms": float(np.median(calls)) / 1e6 * program.calls,
        "p90_ms": float(np.quantile(calls, 0.9)) / 1e6 * program.calls,
        "n": len(calls),
        "probe_ns": max(before, probe_ns()),
    }


def probe_ns() -> float:
    """Median time of the fixed piece of work, about 6 us."""
    return float(np.median(run_block(lambda: np.dot(_WORK, _WORK, _RESULT), 0.0, at_least=7)))


def inspect(record: Runtime, path: Path) -> dict[str, Any]:
    """What the runtime tells about the file, or the reason when it cannot: one figure less, not a failed file."""
    try:
        inspected = record.side("inspect").inspect(path) if record.inspects else {}
        return {"inspected": inspected, "random": why_random(record, path)}
    except Exception as error:
        return {"inspected": {"not_inspected": one_line(error)[:200]}, "random": None}


def plain(record: Runtime, arguments: argparse.Namespace, command: dict[str, Any]) -> dict[str, Any]:
    """Outputs of the runtime's plain kernels for the items of the .npy `x`, written to `y`; `error` says why there are none."""
    try:
        program = opened(record.side("load").plain, record, arguments)
        np.save(command["y"], program.predict(np.load(command["x"])))
    except Exception as error:  # plain kernels have fewer operators
        return {"error": one_line(error)[:200]}
    return {"error": None}


def opened(loader: Callable[..., Program], record: Runtime, arguments: argparse.Namespace) -> Program:
    """The program as it is scored: preprocessed as its sidecar asks, called once, with the output that was asked for; not scored
    where a file has several and none was named. Raises BadInput where the output that was asked for is not there.
    """
    shape = tuple(arguments.shape or ()) if record.open_shapes else ()
    program = sidecar.prepared(loader(arguments.path, threads=arguments.threads, shape=shape), arguments.path)
    program.put(np.zeros((program.batch, *program.input_shape), np.float32))
    program.invoke()
    if len(program.outputs) < 2 and not arguments.output:
        return program
    if arguments.output not in program.outputs:
        listed = ", ".join(f"{name} {np.shape(get())}" for name, get in program.outputs.items())
        if not arguments.output:
            reason = f"it has {len(program.outputs)} outputs; name the one to score with --output: {listed}"
            return replace(program, not_scored=program.not_scored or reason)
        raise BadInput(f"{arguments.path.name}: output {arguments.output!r} is unknown; allowed: {listed}")
    return replace(program, get=program.outputs[arguments.output])


def pin(threads: int) -> None:
    """Keep this process on as many cores as it has threads, the last ones: the first is where interrupts land."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])


def end_with_stdin() -> None:
    """Fork a watcher that kills this process, some seconds after the other end of stdin was closed.

    A process of its own, since a runtime in an endless call may never let another thread of this process run.
    """
    worker = os.getpid()
    if os.fork():
        return
    os.close(1)
    os.close(2)  # else a reader of this process's output would wait for the watcher too
    stdin = select.poll()
    stdin.register(0, 0)  # hang-up is always reported
    while os.getppid() == worker and not stdin.poll(WATCH_MS):
        pass
    end = time.monotonic() + GRACE_S
    while os.getppid() == worker and time.monotonic() < end:
        time.sleep(0.1)
    if os.getppid() == worker:
        os.kill(worker, signal.SIGKILL)
    os._exit(0)


def load(arguments: argparse.Namespace) -> tuple[Runtime, Program, int]:
    """Runtime and program of the file, called once; the process's peak memory before the file was loaded."""
    record = runtime(arguments.runtime)
    side = record.side("load")
    side.preload()
    empty = peak_bytes()
    return record, opened(side.load, record, arguments), empty


def about(program: Program, path: Path) -> dict[str, Any]:
    """What a scorer has to know of a loaded file."""
    return {
        "input_shape": [int(size) for size in program.input_shape],
        "batch": program.batch,
        "calls": program.calls,
        "not_scored": program.not_scored,
        "input_range": program.input_range,
        "preprocess": sidecar.preprocessing(path),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runtime")
    parser.add_argument("path", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", default="", help="the output to score, of a file that has several")
    parser.add_argument("--shape", type=int, nargs="*", help="of an item, for files that leave sizes open")
    arguments = parser.parse_args()
    end_with_stdin()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # runtimes print on stdout: that goes to stderr

    def answer(**values: Any) -> None:
        answers.write(json.dumps(values) + "\n")

    try:
        record, program, empty = load(arguments)
        answer(ok=True, **about(program, arguments.path))
        commands = {
            "score": score,
            "plain": lambda _, command: plain(record, arguments, command),
            "warm": warm,
            "time": time_block,
            "memory": lambda *_: {"rss_bytes": peak_bytes() - empty},
            "inspect": lambda *_: inspect(record, arguments.path),
        }
        for line in sys.stdin:
            command = json.loads(line)
            if command["do"] in ("warm", "time"):
                pin(arguments.threads)
            answer(ok=True, **commands[command["do"]](program, command))
    except ImportError as error:
        reason = f"{arguments.runtime} cannot be loaded by {sys.executable} on {platform.machine()}: {one_line(error)}"
        answer(ok=False, error=reason, code="library")
        sys.exit(1)
    except Exception as error:  # whatever a runtime raises becomes one line for the row
        answer(ok=False, error=one_line(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
