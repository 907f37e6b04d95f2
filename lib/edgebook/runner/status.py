"""How far the runs are: what their folders say, whether somebody is at work there or not."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from edgebook import files
from edgebook.run_folder import executions_of
from edgebook.runner import progress
from edgebook.runner.record import read_record


@dataclass(frozen=True)
class State:
    """An execution: ok, failed, running, waiting, or not executed."""

    name: str
    state: str
    reason: str = ""
    error: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class RunStatus:
    """A run. summary: one line."""

    name: str
    summary: str
    executions: list[State]


def run_status(folder: Path) -> RunStatus:
    """The status of the run in a folder."""
    is_running = not files.is_free(folder)
    going = progress.read(folder)
    executions = [_state(folder, name, going if is_running else None) for name in _names(folder)]
    counts = {word: sum(each.state == word for each in executions) for word in ("ok", "failed", "not executed")}
    text = ", ".join(f"{number} {word}" for word, number in counts.items() if number)
    if is_running and going:
        text = f"{going.summary()}{progress.owner(folder)}"
    elif going and (going.running or going.waiting):
        text = f"{text}; stopped before its end: the same command goes on"
    return RunStatus(folder.name, text, executions)


def _state(folder: Path, name: str, going: progress.Progress | None) -> State:
    """An execution, by its record unless it is going on."""
    if going and name in going.running:
        return State(name, "running", seconds=time.time() - going.running[name])
    if going and name in going.waiting:
        return State(name, "waiting")
    record = read_record(folder, name)
    if record is None:
        return State(name, "not executed")
    return State(name, record.status, record.reason or "", record.error or "", record.seconds)


def _names(folder: Path) -> list[str]:
    """The executions of the run, in order; those with a record where run.json cannot be read."""
    try:
        return executions_of(folder) or []
    except ValueError:
        return sorted(path.stem for path in (folder / "state").glob("*.json"))
