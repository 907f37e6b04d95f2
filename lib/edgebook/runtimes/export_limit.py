"""What an export may take: it ends after so much time, and lets measurers in while it goes on."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from edgebook import lock
from edgebook.errors import Unsupported

EXPORT_S = 300.0  # processor time of one file; a network of the sizes that ship takes seconds
LOOK_S = 1.0


class _Overdue(BaseException):
    """Raised inside an exporter; exporters catch Exception, and go on in another way."""


@contextmanager
def limited() -> Iterator[None]:
    """Inside, look every second whether somebody waits to measure (the training side of the lock is held), and whether EXPORT_S
    are over: then raises Unsupported.

    By a signal, which Python handles between two instructions of the main thread: a long call of C++ delays it, and in another
    thread there is no limit.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    started = time.process_time()

    def look(*_: object) -> None:
        if time.process_time() - started > EXPORT_S:
            raise _Overdue
        lock.step_aside()

    before = signal.signal(signal.SIGALRM, look)
    signal.siginterrupt(signal.SIGALRM, False)
    signal.setitimer(signal.ITIMER_REAL, LOOK_S, LOOK_S)
    try:
        yield
    except _Overdue:
        raise Unsupported(_reason(), code="time") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def run(command: list[str]) -> subprocess.CompletedProcess:
    """A program of an exporter, with what it printed as text. Raises Unsupported when it takes longer than EXPORT_S."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=EXPORT_S)
    except subprocess.TimeoutExpired:
        raise Unsupported(_reason(), code="time") from None


def _reason() -> str:
    return f"its export was ended after {EXPORT_S:g} s; a recurrent network exported as one step per call takes seconds"
