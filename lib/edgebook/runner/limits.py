"""Limits of one execution: when it takes too long or too much memory, its kernel ends with all the processes it has started."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from edgebook.runner.failure import Failure

LOOK_S = 0.5  # between two looks


@dataclass(frozen=True)
class Limits:
    """What one execution may take; None: no limit. memory_gb: resident memory of the kernel and its processes, 1e9 bytes."""

    seconds: float | None = None
    memory_gb: float | None = None


NO_LIMITS = Limits()


@dataclass
class Watch:
    """The limit that was exceeded, once one was."""

    failure: Failure | None = None
    done: threading.Event = field(default_factory=threading.Event)


@contextmanager
def limited(limits: Limits, kernel: Callable[[], int | None]) -> Iterator[Watch]:
    """Watch the kernel, whose process id `kernel` tells once there is one, until the end of the block."""
    watch = Watch()
    if limits == NO_LIMITS:
        yield watch
        return
    thread = threading.Thread(target=_look, args=(limits, kernel, watch), daemon=True, name="edgebook-limits")
    thread.start()
    try:
        yield watch
    finally:
        watch.done.set()
        thread.join()


def _look(limits: Limits, kernel: Callable[[], int | None], watch: Watch) -> None:
    started = time.monotonic()
    while not watch.done.wait(LOOK_S):
        pid = kernel()
        watch.failure = watch.failure or _exceeded(limits, time.monotonic() - started, pid)
        if watch.failure and pid:
            end_group(pid)


def _exceeded(limits: Limits, seconds: float, pid: int | None) -> Failure | None:
    if limits.seconds is not None and seconds > limits.seconds:
        return Failure("time", f"it took longer than {limits.seconds:g} s")
    if limits.memory_gb is not None and pid and memory_bytes(pid) > limits.memory_gb * 1e9:
        return Failure("memory", f"it took more memory than {limits.memory_gb:g} GB")
    return None


def memory_bytes(pid: int) -> int:
    """Resident memory of a process and all below it; pages that they share count in each."""
    import psutil

    with suppress(psutil.Error):
        process = psutil.Process(pid)
        return sum(_resident(each) for each in (process, *process.children(recursive=True)))
    return 0


def _resident(process) -> int:
    import psutil

    with suppress(psutil.Error):
        return process.memory_info().rss
    return 0


def end_group(pid: int) -> None:
    """Kill a process that leads a group, and the group."""
    with suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
