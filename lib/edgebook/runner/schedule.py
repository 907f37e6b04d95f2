"""Executions in an order that the rows they read allow, as many at once as there is room for."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from dataclasses import dataclass, field

from edgebook.errors import Stopped
from edgebook.paths import measurements_dir
from edgebook.runner import execute
from edgebook.runner.execute import RowsState, Run
from edgebook.runner.executors.executor import Executor, Outcome
from edgebook.runner.failure import Failure, oom_kills
from edgebook.runner.plan import Execution, sources
from edgebook.runner.progress import Progress, Say
from edgebook.runner.record import Record, find_record, record_path, write_record
from edgebook.runner.signals import Stop


@dataclass(frozen=True)
class Found:
    """What a run's folder has of an execution: its record where it can be believed, else why not. key: what decides it now."""

    key: str
    record: Record | None = None
    reason: str | None = None


@dataclass(frozen=True)
class InFlight:
    """An execution that goes on, and how things were when it started."""

    execution: Execution
    key: str
    rows: RowsState
    oom_kills: int


@dataclass
class Schedule:
    """What `execute` needs, and how far it is. found: of all that is wanted, before the first has started."""

    run: Run
    wanted: list[Execution]
    found: dict[str, Found]
    executor: Executor
    progress: Progress
    say: Say
    stop: Stop
    fresh: bool = False
    in_flight: dict[str, InFlight] = field(default_factory=dict)
    ready: set[str] = field(default_factory=set)  # executions whose rows to read do not change any more
    sources: dict[str, set[str]] = field(default_factory=dict)  # execution -> those whose rows it reads

    def execute(self) -> None:
        """Execute everything, with a line for each that ends. Raises Stopped when something was left because of a stop."""
        self.sources = {each.name: {source.name for source in sources(each, self.wanted)} for each in self.wanted}
        self.progress.write(self.run.folder)
        try:
            with self.executor:
                while self._start_ready():
                    self.progress.write(self.run.folder)
                    for name, outcome in self.executor.wait():
                        self._end(name, outcome)
        except Stopped:
            for name, cut in self.in_flight.items():
                write_record(self.run.folder, name, Record(cut.key, "failed", "cancelled", "the run was stopped"))
            raise
        finally:
            self.progress.running.clear()
            self.progress.write(self.run.folder)
        if self.progress.waiting:
            raise Stopped(signal.SIGINT)

    def _start_ready(self) -> bool:
        """Pass over what was done before and start what there is room for, unless a stop was asked for; whether anything runs."""
        waiting = set() if self.stop.asked else set(self.progress.waiting)
        for execution in self.wanted:
            if execution.name in waiting and not self._waits_for_rows(execution):
                there = self._look(execution)
                if there.record:
                    self.progress.find(execution.name)
                    self._tell(execution, "found", 0)
                elif self.executor.has_room(execution):
                    self._submit(execution, there)
        self.stop.n_running = len(self.in_flight)
        return bool(self.in_flight)

    def _waits_for_rows(self, execution: Execution) -> bool:
        names = self.sources[execution.name]
        return bool(names) and not (names.isdisjoint(self.in_flight) and names.isdisjoint(self.progress.waiting))

    def _look(self, execution: Execution) -> Found:
        """What is there of an execution that can start; looked up again where it reads rows, which may have changed."""
        if execution.name not in self.ready:
            self.ready.add(execution.name)
            if "rows" in execution.reads:
                self.found[execution.name] = find(self.run, execution, fresh=self.fresh)
        return self.found[execution.name]

    def _submit(self, execution: Execution, there: Found) -> None:
        if there.reason:
            print(f"edgebook: {execution.name}: {there.reason}; executed again", file=sys.stderr, flush=True)
        if self.fresh:
            shutil.rmtree(measurements_dir(self.run.folder, execution.name), ignore_errors=True)
        record_path(self.run.folder, execution.name).unlink(missing_ok=True)  # what it says is about to be replaced
        rows = execute.rows_state(self.run, execution)
        self.in_flight[execution.name] = InFlight(execution, there.key, rows, oom_kills())
        self.executor.submit(self.run, execution, there.key)
        self.progress.begin(execution.name)
        self.say("", False)

    def _end(self, name: str, outcome: Outcome) -> None:
        cut = self.in_flight.pop(name)
        record = outcome.value
        if record is None:
            reason = "memory" if oom_kills() > cut.oom_kills else "killed"
            failure = Failure(reason, outcome.error or "")
            record = execute.record_failure(self.run, cut.execution, cut.key, failure, cut.rows)
        self.progress.end(name, record)
        self._tell(cut.execution, "ok" if record.status == "ok" else f"FAILED: {record.error}", record.seconds)

    def _tell(self, execution: Execution, word: str, seconds: float) -> None:
        passed = time.time() - self.progress.started
        place = f"[{self.progress.n_done}/{self.progress.n_all}]"
        line = f"{place} {execution.name}: {word} ({seconds:.0f} s, {passed:.0f} s in all)"
        self.say(line, word not in ("ok", "found"))


def find(run: Run, execution: Execution, *, fresh: bool) -> Found:
    """What is there of an execution; nothing when everything is to be executed afresh."""
    key = run.key(execution)
    return Found(key) if fresh else Found(key, *find_record(run.folder, execution.name, key))
