"""A preset -> executed notebooks and their pages; what is done already is found, what was stopped goes on."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from edgebook import files, lock, paths, rows
from edgebook.errors import BadInput
from edgebook.registry import resolve
from edgebook.run_folder import RUN, write_run
from edgebook.runner import kernel, progress
from edgebook.runner.execute import Page, Run
from edgebook.runner.executors.executor import Executor
from edgebook.runner.executors.this_machine import this_machine
from edgebook.runner.plan import Execution, chosen, plan
from edgebook.runner.preload import kernel_servers
from edgebook.runner.preset import read_preset
from edgebook.runner.progress import Progress
from edgebook.runner.record import last_seconds
from edgebook.runner.schedule import Schedule, find
from edgebook.runner.signals import stopped_by_signals

AUTOTUNE = "autotune.yaml"  # the preset that `edgebook autotune` writes for its run
MARKS = (RUN, "rows/*.jsonl", AUTOTUNE)  # what a folder has that is a run's, or that notebooks have written by hand


@dataclass(frozen=True)
class Calls:
    """What a run calls, functions or "module:function", which are imported only when they are called.

    check: gets what is to be executed, before anything starts; raises BadInput for data and networks that do not go together.
    page: writes the page of an executed notebook. prepare: called once in the process that kernels are forked from. data: gets
    names of data sets; their fingerprints, by which the workers of a cluster are compared with this machine.
    """

    check: Callable[[list[Execution]], None] | str
    page: Page
    prepare: str | None = None
    data: Callable[[list[str]], dict[str, str]] | str = ""


@dataclass(frozen=True)
class Options:
    """What the command line says. jobs: notebooks at once, at most; as many as cores and memory allow when None.

    plain: a line for each execution, also in a terminal. scheduler: address of a Dask scheduler whose workers execute.
    """

    only: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    fresh: bool = False
    jobs: int | None = None
    plain: bool = False
    scheduler: str | None = None


def run_preset(preset: Path, name: str, options: Options, calls: Calls) -> int:
    """Execute what is not done yet; how many rows failed. Writes run.json, which names the executions of the run.

    Raises BadInput before the start; SystemExit when it is stopped by Ctrl-C or SIGTERM.
    """
    files.check_own(paths.reports_dir() / name, MARKS)
    with stopped_by_signals(paths.stop_file(paths.reports_dir() / name)) as stop, ExitStack() as stack:
        read = read_preset(preset, list(options.overrides))
        executions = plan(read, name)
        wanted = chosen(executions, list(options.only))
        run = Run(paths.reports_dir() / name, tuple(executions), calls.page, read.limits)
        found = {execution.name: find(run, execution, fresh=options.fresh) for execution in wanted}
        pending = [execution for execution in wanted if not found[execution.name].record]
        executor: Executor = this_machine(options.jobs)
        if pending and not options.scheduler:
            sockets = stack.enter_context(kernel.folder_for_sockets())
            servers = kernel_servers(pending, sockets, jobs=executor.n_at_once, prepare=calls.prepare)
            run = replace(run, sockets=sockets, kernel_servers=stack.enter_context(servers))
        if pending:
            resolve(calls.check)(pending)
        if pending and options.scheduler:
            executor = _cluster(options.scheduler, pending, calls)
        for folder in (run.folder, paths.store_dir(), lock.folder()):
            files.check_writable(folder)
        stack.enter_context(_alone_in(run.folder))
        paths.stop_file(run.folder).unlink(missing_ok=True)  # of an earlier start: another run may still be at work before this
        write_run(run.folder, str(read.path), [execution.name for execution in executions])
        counts = _progress(run, wanted, executor)
        say = stack.enter_context(progress.shown(counts, plain=options.plain))
        Schedule(run, wanted, found, executor, counts, say, stop, fresh=options.fresh).execute()
        return sum(_failed_rows(run.folder, execution) for execution in wanted)


def _cluster(address: str, pending: list[Execution], calls: Calls) -> Executor:
    """The workers of a Dask scheduler. Raises BadInput where Dask is not installed."""
    if importlib.util.find_spec("distributed") is None:
        raise BadInput("--scheduler: Dask is not installed; pip install 'edgebook[cluster]'")
    from edgebook.runner.executors.dask import connect

    return connect(address, pending, calls.data)


def _progress(run: Run, wanted: list[Execution], executor: Executor) -> Progress:
    """The counts of a run that begins, with what its executions have taken before."""
    seconds = {execution.name: last_seconds(run.folder, execution.name) for execution in wanted}
    expected = {name: value for name, value in seconds.items() if value is not None}
    return Progress(list(seconds), jobs=executor.n_at_once, expected=expected)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold the run's folder, and remove what killed processes have left. Raises BadInput when another process holds it."""
    with files.held(folder) as alone:
        if not alone:
            raise BadInput(f"{folder}: another `edgebook run` is at work there{progress.owner(folder)}")
        clean_up(folder)
        try:
            yield
        finally:
            clean_up(folder)


def clean_up(folder: Path) -> None:
    """Remove what killed processes have left: sockets, files that were being written, locks that nobody holds."""
    for place in {kernel.sockets_folder(), Path(tempfile.gettempdir())}:
        files.remove_abandoned(place, f"{files.SCRATCH}*")
    for place in (folder, paths.store_dir()):
        for pattern in (f".*{files.DRAFT}", f"*/.*{files.DRAFT}", f"*/*/.*{files.DRAFT}"):
            files.remove_abandoned(place, pattern)
    for pattern in ("*.lock", "files/.draft-*"):
        files.remove_abandoned(paths.store_dir(), pattern)


def _failed_rows(folder: Path, execution: Execution) -> int:
    path = folder / "rows" / f"{execution.name}.jsonl"
    return sum(row["status"] == "failed" for row in rows.read_rows(path)) if path.is_file() else 0
