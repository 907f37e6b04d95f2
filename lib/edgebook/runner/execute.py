"""One execution: papermill runs the notebook, its page is written, and a record says what was left behind.

Executing a notebook changes the working folder and the environment of its process: one at a time in a process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import yaml

from edgebook import files, paths, rows
from edgebook.errors import one_line
from edgebook.libraries import imports_without
from edgebook.naming import case_id, model_label, short_id, task_label
from edgebook.registry import resolve
from edgebook.runner import kernel
from edgebook.runner.failure import Failure, failure_of, oom_kills
from edgebook.runner.key import execution_key
from edgebook.runner.limits import NO_LIMITS, Limits, limited
from edgebook.runner.plan import Case, Execution, case_of, sources
from edgebook.runner.record import Record, files_of, write_record

STARTS = 3  # times that a kernel is started until it does
RowsState = tuple[int, int] | None

Page = Callable[[Path, Path], Any] | str  # (executed notebook, the page to write); as "module:function" imported only there


@dataclass(frozen=True)
class Run:
    """A run: its folder, all its executions in order, what writes a page, and what one execution may take.

    sockets: folder for those of all kernels. kernel_servers: number of threads -> address of the server that forks kernels with
    so many.
    """

    folder: Path
    executions: tuple[Execution, ...]
    page: Page
    limits: Limits = NO_LIMITS
    sockets: Path | None = None
    kernel_servers: dict[int, Path] = field(default_factory=dict)

    def key(self, execution: Execution) -> str:
        """What decides the outcome of an execution now."""
        return execution_key(self.folder, execution, list(self.executions))

    @cached_property
    def cases(self) -> dict[Case, list[Execution]]:
        """The executions of each case, which need the same trained baseline."""
        cases: dict[Case, list[Execution]] = {}
        for execution in self.executions:
            cases.setdefault(case_of(execution), []).append(execution)
        return cases

    def reduced_to(self, execution: Execution) -> Run:
        """The run with an execution and those whose rows it reads alone: what goes to another machine with each."""
        return replace(self, executions=(*sources(execution, self.executions), execution))


def execute(run: Run, execution: Execution, key: str) -> Record:
    """Execute a notebook and write its page; its record, which is written too. What goes wrong becomes a failed row.

    A record is for the `key` under which it was planned; when the source has changed meanwhile, it is for none.
    """
    started, before = time.perf_counter(), rows_state(run, execution)
    failure = _run_notebook(run, execution)
    failure_of_page = _write_page(run, execution)  # a failed notebook has a page too, which shows how far it came
    failure = failure or failure_of_page
    if failure:
        return record_failure(run, execution, key, failure, before, seconds=time.perf_counter() - started)
    key = key if run.key(execution) == key else "the source changed during the execution"
    record = Record(key, "ok", None, None, time.perf_counter() - started, files_of(run.folder, execution.name))
    write_record(run.folder, execution.name, record)
    return record


def record_failure(
    run: Run, execution: Execution, key: str, failure: Failure, before: RowsState, *, seconds: float = 0.0
) -> Record:
    """The record of an execution that failed, also of one whose process has ended before it could write one; with a failed row.

    before: `rows_state` at its start.
    """
    add_failure(run, execution, failure, before)
    record = Record(key, "failed", failure.reason, failure.error, seconds, files_of(run.folder, execution.name))
    write_record(run.folder, execution.name, record)
    return record


def add_failure(run: Run, execution: Execution, failure: Failure, before: RowsState) -> None:
    """One more row, for the whole notebook; rows that were written since `before` stay, older ones go."""
    params, path = execution.params, _rows_path(run, execution)
    identity = {
        "run": params.get("run"),
        "notebook": execution.notebook,
        "execution": execution.name,
        "row_id": short_id(execution.name, "whole notebook"),
        "task": task_label(params["task"]) if "task" in params else None,
        "model": model_label(params["model"]) if "model" in params else None,
        "case": case_id(params),
        "seed": params.get("seed"),
        "label": "whole notebook",
    }
    row = rows.build(identity, {"status": "failed", "error": failure.error, "extra": {"reason": failure.reason}})
    written = rows.read_rows(path) if rows_state(run, execution) not in (None, before) else []
    rows.write_rows(path, [*written, row])


def rows_state(run: Run, execution: Execution) -> RowsState:
    """What changes whenever the rows of an execution are replaced."""
    path = _rows_path(run, execution)
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path.exists() else None


def _rows_path(run: Run, execution: Execution) -> Path:
    return run.folder / "rows" / f"{execution.name}.jsonl"


def _run_notebook(run: Run, execution: Execution) -> Failure | None:
    """Execute into notebooks/, print into logs/; a kernel that does not start gets another chance."""
    files.write_text(run.folder / "params" / f"{execution.name}.yaml", yaml.safe_dump(execution.params, sort_keys=False))
    target, log_path = run.folder / "notebooks" / f"{execution.name}.ipynb", run.folder / "logs" / f"{execution.name}.log"
    for folder in (target.parent, log_path.parent):
        folder.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)  # that of an earlier attempt
    with open(log_path, "w", encoding="utf-8") as log:
        for number in range(STARTS):
            failure = _papermill(run, execution, target, log)
            if not failure or failure.reason != "start":
                break
            log.write(f"start {number + 1} of {STARTS}: {failure.error}\n")
    return failure


def _papermill(run: Run, execution: Execution, target: Path, log: IO[str]) -> Failure | None:
    """Execute once; the reason when that failed."""
    with imports_without("rfc3987_syntax"):  # nbformat's jsonschema builds a grammar with it, for a check that it never does: 1 s
        import papermill
    from edgebook.runner import provisioner

    n_threads, before = kernel.cores(execution.params), oom_kills()
    provisioner.register()
    variables = kernel.environment(n_threads) | provisioner.variables(run.kernel_servers.get(n_threads))
    with (
        kernel.folder_for_sockets(run.sockets) as sockets,
        limited(run.limits, provisioner.current) as watch,
        kernel.environment_of_kernels(variables),
        redirect_stdout(log),
        redirect_stderr(log),
        _stderr_into(log),
    ):
        try:
            papermill.execute_notebook(
                _literal(paths.NOTEBOOKS / f"{execution.notebook}.ipynb"),
                _literal(target),
                parameters=execution.params,
                kernel_name="python3",
                progress_bar=False,
                log_output=False,
                stdout_file=log,
                stderr_file=log,
                start_timeout=kernel.START_S,
                config=kernel.config(sockets),
                extra_arguments=list(kernel.ARGUMENTS),
            )
        except Exception as error:  # the exception alone tells: papermill records a dead kernel as a success
            log.write(f"{error}\n")
            return watch.failure or failure_of(error, target, before)
    return None


def _write_page(run: Run, execution: Execution) -> Failure | None:
    """Write the page; the reason when that failed."""
    try:
        resolve(run.page)(run.folder / "notebooks" / f"{execution.name}.ipynb", run.folder / "pages" / f"{execution.name}.html")
    except Exception as error:  # whatever a renderer raises: the execution failed, the others go on
        return Failure("page", f"the page could not be written: {one_line(error)}")
    return None


def _literal(path: Path) -> str:
    """A path for papermill, which fills in what stands in braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


@contextmanager
def _stderr_into(file: IO[str]) -> Iterator[None]:
    """Send what this process and its kernel write to descriptor 2 into a file."""
    saved = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
