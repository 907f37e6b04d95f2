"""A preset -> executed notebooks and their pages; what is done already is found, what was stopped goes on."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgebook import files, paths, rows
from edgebook.errors import BadInput
from edgebook.registry import resolve
from edgebook.runner import execute
from edgebook.runner.execute import Page, Run
from edgebook.runner.executors import local
from edgebook.runner.plan import Execution, chosen, plan, stages
from edgebook.runner.preset import read_preset
from edgebook.runner.record import Record, find_record

MOST_JOBS = 4  # notebooks at once: more would wait for each other's measuring

Check = Callable[[list[Execution]], None] | str  # raises BadInput for data and networks that do not go together


@dataclass(frozen=True)
class Options:
    """What the command line says. jobs: notebooks at once, as many as the cores allow when None."""

    only: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    fresh: bool = False
    jobs: int | None = None


def run_preset(preset: Path, name: str, options: Options, *, check: Check, page: Page) -> int:
    """Execute what is not done yet; how many rows failed. Writes run.json, which names the executions of the run.

    check: called with what is to be done, before anything starts. page: writes the page of an executed notebook. Raises
    BadInput before the start; SystemExit when it is stopped by Ctrl-C or SIGTERM.
    """
    with _stopped_by_signals():
        read = read_preset(preset, list(options.overrides))
        executions = plan(read, name)
        wanted = chosen(executions, list(options.only))
        run = Run(paths.reports_dir() / name, tuple(executions), page)
        found = {execution.name: _find(run, execution, fresh=options.fresh) for execution in wanted}
        if pending := [execution for execution in wanted if not found[execution.name].record]:
            resolve(check)(pending)
        for folder in (run.folder, paths.store_dir()):
            files.check_writable(folder)
        with files.held(run.folder) as alone:
            if not alone:
                raise BadInput(f"{run.folder}: another `edgebook run` is at work there")
            clean_up(run.folder)
            record = {"preset": str(read.path), "executions": [execution.name for execution in executions]}
            files.write_text(run.folder / "run.json", json.dumps(record, indent=1))
            try:
                _execute_all(run, wanted, found, fresh=options.fresh, jobs=options.jobs or default_jobs(wanted))
            finally:
                clean_up(run.folder)
        return sum(_failed_rows(run.folder, execution) for execution in wanted)


def default_jobs(executions: list[Execution]) -> int:
    """Notebooks at once: those that the cores can train side by side. They measure one after the other in any case."""
    threads = max(max(e.params.get("train_threads", 1), e.params.get("threads", 1)) for e in executions)
    return max(1, min((os.cpu_count() or 1) // threads, MOST_JOBS))


def clean_up(folder: Path) -> None:
    """Remove what killed processes have left: sockets, files that were being written, locks that nobody holds."""
    files.remove_abandoned(execute.sockets_folder(), f"{execute.SOCKETS}*")
    for place in (folder, paths.store_dir()):
        for pattern in (f".*{files.DRAFT}", f"*/.*{files.DRAFT}"):
            files.remove_abandoned(place, pattern)
    for pattern in ("*.lock", "files/.draft-*"):
        files.remove_abandoned(paths.store_dir(), pattern)


@dataclass(frozen=True)
class _Found:
    """What a run's folder has of an execution: its record where it can be believed, else why not. key: what decides it now."""

    key: str
    record: Record | None = None
    reason: str | None = None


def _find(run: Run, execution: Execution, *, fresh: bool) -> _Found:
    key = run.key(execution)
    return _Found(key) if fresh else _Found(key, *find_record(run.folder, execution.name, key))


def _execute_all(run: Run, wanted: list[Execution], found: dict[str, _Found], *, fresh: bool, jobs: int) -> None:
    """Stage by stage, with a line for each execution that ends."""
    started, n_done = time.perf_counter(), 0
    for stage in stages(wanted):
        if "rows" in stage[0].reads:  # rows before it may have changed since
            found |= {execution.name: _find(run, execution, fresh=fresh) for execution in stage}
        with closing(_execute_stage(run, stage, found, jobs=jobs)) as ended:
            for execution, record, is_found in ended:
                n_done += 1
                word = "found" if is_found else "ok" if record.status == "ok" else f"FAILED: {record.error}"
                spent = f"{0 if is_found else record.seconds:.0f} s, {time.perf_counter() - started:.0f} s in all"
                print(f"[{n_done}/{len(wanted)}] {execution.name}: {word} ({spent})", flush=True)


def _execute_stage(
    run: Run, stage: list[Execution], found: dict[str, _Found], *, jobs: int
) -> Iterator[tuple[Execution, Record, bool]]:
    """(execution, its record, whether it was there already), as they end."""
    waiting = []
    for execution in stage:
        there = found[execution.name]
        if there.reason:
            print(f"edgebook: {execution.name}: {there.reason}; executed again", file=sys.stderr, flush=True)
        if there.record:
            yield execution, there.record, True
        else:
            waiting.append((run, execution, there.key))
    before = [execute.rows_state(run, execution) for _, execution, _ in waiting]
    with closing(local.run(execute.execute, waiting, jobs=jobs)) as ended:
        for index, outcome in ended:
            _, execution, key = waiting[index]
            record = outcome.value or execute.record_death(run, execution, key, outcome.error or "", before[index])
            yield execution, record, False


def _failed_rows(folder: Path, execution: Execution) -> int:
    path = folder / "rows" / f"{execution.name}.jsonl"
    return sum(row["status"] == "failed" for row in rows.read_rows(path)) if path.is_file() else 0


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the block at once, with one line and the exit code that shells expect."""

    def stop(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # once is enough
        raise _Stopped(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except _Stopped as stopped:
        print("\nedgebook: stopped; the same command goes on", file=sys.stderr, flush=True)
        raise SystemExit(128 + stopped.number) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Stopped(BaseException):
    """Raised by a signal; no `except Exception` on the way holds it."""

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number
