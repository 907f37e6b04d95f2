"""How far a run is: lines for people, and progress.json in the run's folder for `edgebook status`."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from edgebook import files
from edgebook.runner.record import Record

FILE = "progress.json"


@dataclass
class Progress:
    """A run that goes on. Times are seconds since the epoch.

    waiting: names of the executions that are still to be looked at. running: name -> when it started. expected: name -> seconds
    that it has taken before. jobs: executions at once.
    """

    waiting: list[str]
    jobs: int = 1
    expected: dict[str, float] = field(default_factory=dict)
    running: dict[str, float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)  # of those that were executed
    n_ok: int = 0
    n_failed: int = 0
    n_found: int = 0
    started: float = field(default_factory=time.time)
    process: int = field(default_factory=os.getpid)
    host: str = field(default_factory=platform.node)

    @property
    def n_done(self) -> int:
        return self.n_ok + self.n_failed + self.n_found

    @property
    def n_all(self) -> int:
        return self.n_done + len(self.running) + len(self.waiting)

    def begin(self, name: str) -> None:
        """An execution starts."""
        self.waiting.remove(name)
        self.running[name] = time.time()

    def end(self, name: str, record: Record) -> None:
        """An execution has ended."""
        del self.running[name]
        self.seconds.append(record.seconds)
        self.n_ok += record.status == "ok"
        self.n_failed += record.status != "ok"

    def find(self, name: str) -> None:
        """An execution was done before."""
        self.waiting.remove(name)
        self.n_found += 1

    def seconds_left(self) -> float | None:
        """About how long it still takes, by what executions took before; None while nothing is known."""
        mean = sum(self.seconds) / len(self.seconds) if self.seconds else None
        spans = [self.expected.get(name, mean) for name in (*self.waiting, *self.running)]
        if None in spans:
            return None
        passed = sum(time.time() - since for since in self.running.values())
        return max(sum(span for span in spans if span is not None) - passed, 0) / max(self.jobs, 1)

    def summary(self) -> str:
        """`5 of 16 done, 1 failed, 3 found, 2 running, about 2 min left`."""
        left = self.seconds_left()
        parts = [
            f"{self.n_done} of {self.n_all} done",
            f"{self.n_failed} failed" if self.n_failed else "",
            f"{self.n_found} found" if self.n_found else "",
            f"{len(self.running)} running" if self.running else "",
            f"about {duration(left)} left" if left is not None and self.running else "",
        ]
        return ", ".join(filter(None, parts))

    def write(self, folder: Path) -> None:
        """Keep it in a run's folder; it is written often, and worth nothing after a power cut."""
        files.write_text(folder / FILE, json.dumps(vars(self)), durable=False)


def read(folder: Path) -> Progress | None:
    """What a run has kept; None where there is nothing, or nothing that can be read."""
    try:
        return Progress(**json.loads((folder / FILE).read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def owner(folder: Path) -> str:
    """Who works in a run's folder, as the end of a sentence: `: process 77 on raven, since 14:03`."""
    progress = read(folder)
    if progress is None:
        return ""
    return f": process {progress.process} on {progress.host}, since {time.strftime('%H:%M', time.localtime(progress.started))}"


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


Say = Callable[[str, bool], None]  # (a line, or nothing where only the counts have changed; whether it tells of a failure)


@contextmanager
def shown(progress: Progress, *, plain: bool) -> Iterator[Say]:
    """What to call with a line for each execution that ends.

    plain, or where the output is no terminal: all lines are printed. Otherwise failures are, above one line that shows how far
    the run is.
    """
    if plain or not sys.stdout.isatty():
        yield lambda line, failed: print(line, flush=True) if line else None
        return
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    with Bar(BarColumn(20), TextColumn("{task.description}"), TimeElapsedColumn(), transient=True) as bar:
        task = bar.add_task(progress.summary(), total=progress.n_all)

        def say(line: str, failed: bool) -> None:
            if line and failed:
                bar.console.print(line, markup=False, highlight=False)
            bar.update(task, description=progress.summary(), completed=progress.n_done)

        yield say
