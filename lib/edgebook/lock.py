"""One machine-wide lock with two sides: many may train, one may measure, never both.

Kernel locks on two files: they end with the process, however it dies. A measurer takes the gate first, so
trainers (who pass the gate at every epoch, and look at it every second) soon let it in.
"""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LOOK_S = 1.0  # between two looks whether somebody waits to measure
_shared_depth = 0  # the shared side may be entered again by the process that holds it
_floor: IO[str] | None = None  # of the shared side, while this process holds it
_looked = 0.0
_seconds_aside = 0.0  # that this process has spent letting measurers in


def folder() -> Path:
    """Where the lock's files are; not created here."""
    return Path(os.environ.get("EDGEBOOK_LOCK") or Path(tempfile.gettempdir()) / "edgebook-lock").expanduser().absolute()


def _open(name: str) -> IO[str]:
    folder().mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder() / name, os.O_RDWR | os.O_CREAT, 0o666)
    return os.fdopen(descriptor, "r+")


def _take(file: IO[str], mode: int, waiting_for: str) -> None:
    """Lock `file`; say on stderr who is waited for when it does not come at once."""
    try:
        fcntl.flock(file, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"edgebook: waiting for {file.read().strip() or waiting_for}", file=sys.stderr, flush=True)
        fcntl.flock(file, mode)


@contextmanager
def training() -> Iterator[None]:
    """Hold the shared side; leave it often, or `step_aside` in between, or a measurer waits for long."""
    global _shared_depth, _floor
    if _shared_depth:
        yield
        return
    with _open("gate") as gate, _open("floor") as floor:
        _take(gate, fcntl.LOCK_SH, "a measurement")
        _take(floor, fcntl.LOCK_SH, "a measurement")
        fcntl.flock(gate, fcntl.LOCK_UN)
        _shared_depth, _floor = _shared_depth + 1, floor
        try:
            yield
        finally:
            _shared_depth, _floor = _shared_depth - 1, None


def seconds_aside() -> float:
    """Seconds that this process has spent in `step_aside` so far: they are no training time."""
    return _seconds_aside


def step_aside() -> None:
    """While holding the shared side: let a measurer in, if one waits, and go on after it."""
    global _looked, _seconds_aside
    if _floor is None or time.monotonic() - _looked < LOOK_S:
        return
    _looked = came = time.monotonic()
    with _open("gate") as gate:
        try:
            fcntl.flock(gate, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(_floor, fcntl.LOCK_UN)
            _take(gate, fcntl.LOCK_SH, "a measurement")
            _take(_floor, fcntl.LOCK_SH, "a measurement")
    _seconds_aside += time.monotonic() - came


@contextmanager
def measuring(who: str) -> Iterator[None]:
    """Hold the exclusive side: nothing else of this project computes on this machine. Raises when this process trains."""
    if _shared_depth:
        raise RuntimeError("this process still holds the training side of the lock")
    with _open("gate") as gate, _open("floor") as floor:
        _take(gate, fcntl.LOCK_EX, "another measurement")
        gate.truncate(0)
        gate.seek(0)
        gate.write(f"{who} (process {os.getpid()}), which measures")
        gate.flush()
        _take(floor, fcntl.LOCK_EX, "training to step aside")
        try:
            yield
        finally:
            gate.truncate(0)
