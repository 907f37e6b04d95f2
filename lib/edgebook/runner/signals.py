"""Ctrl-C and SIGTERM: the first Ctrl-C lets what runs finish, everything else ends at once; both with one line."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edgebook.errors import Stopped


@dataclass
class Stop:
    """Whether a stop was asked for, and how many executions are in flight, which the first Ctrl-C leaves alone.

    file: made at the first Ctrl-C, for executions that can end early with what they have.
    """

    asked: bool = False
    n_running: int = 0
    file: Path | None = None

    def on_signal(self, number: int, frame: object) -> None:
        """Remember the first Ctrl-C; raise Stopped at the second, at SIGTERM, and where nothing runs."""
        if number == signal.SIGINT and self.n_running and not self.asked:
            self.asked = True
            if self.file is not None:
                with suppress(OSError):  # without it, they end later
                    self.file.touch()
            what = "1 execution is" if self.n_running == 1 else f"{self.n_running} executions are"
            print(f"\nedgebook: stopping: {what} finished first; Ctrl-C again ends at once", file=sys.stderr, flush=True)
            return
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)  # once is enough
        raise Stopped(number)


@contextmanager
def stopped_by_signals(file: Path | None = None) -> Iterator[Stop]:
    """Until the end of the block signals stop it. What ends it by Stopped leaves with one line and the code shells expect.

    file: see Stop.
    """
    stop = Stop(file=file)
    before = {number: signal.signal(number, stop.on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    except Stopped as stopped:
        print("edgebook: stopped; the same command goes on", file=sys.stderr, flush=True)
        raise SystemExit(128 + stopped.number) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
