"""One execution: papermill runs the notebook, its page is written, and a record says what was left behind.

Executing a notebook changes the working folder and the environment of its process: one at a time in a process.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import yaml

from edgebook import files, paths, rows
from edgebook.errors import line_of, one_line
from edgebook.naming import model_label, short_id, task_label
from edgebook.registry import resolve
from edgebook.runner.key import execution_key
from edgebook.runner.plan import Execution
from edgebook.runner.record import Record, files_of, write_record

SOCKETS = f"edgebook-{os.getuid()}-"  # folders of kernels' sockets
LONGEST_FOLDER = 60  # characters: the path of a socket may have about a hundred
START_S = 180  # for a kernel, on a machine that is busy
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
KERNEL = ("--IPKernelApp.ignore_cwd=True", "--IPKernelApp.exec_lines=__import__('edgebook.process').process.end_with_parent()")
RowsState = tuple[int, int] | None
OWN_WORDS = ("BadInput", "Unsupported")  # exceptions whose message says all

Page = Callable[[Path, Path], Any] | str  # (executed notebook, the page to write); as "module:function" imported only there


@dataclass(frozen=True)
class Run:
    """A run: its folder, all its executions in order, and what writes a page."""

    folder: Path
    executions: tuple[Execution, ...]
    page: Page

    def key(self, execution: Execution) -> str:
        """What decides the outcome of an execution now."""
        return execution_key(self.folder, execution, list(self.executions))


def execute(run: Run, execution: Execution, key: str) -> Record:
    """Execute a notebook and write its page; its record, which is written too. What goes wrong becomes a failed row.

    A record is for the `key` under which it was planned; when the source has changed meanwhile, it is for none.
    """
    started, before = time.perf_counter(), rows_state(run, execution)
    error = _run_notebook(run, execution)
    page_error = _write_page(run, execution)  # a failed notebook has a page too, which shows how far it came
    error = error or page_error
    if error:
        add_failure(run, execution, error, before)
    key = key if error or run.key(execution) == key else "the source changed during the execution"
    record = Record(key, "failed" if error else "ok", error, time.perf_counter() - started, files_of(run.folder, execution.name))
    write_record(run.folder, execution.name, record)
    return record


def record_death(run: Run, execution: Execution, key: str, error: str, before: RowsState) -> Record:
    """The record of an execution whose process has ended before it could write one; `before`: `rows_state` at its start."""
    add_failure(run, execution, error, before)
    record = Record(key, "failed", error, 0.0, files_of(run.folder, execution.name))
    write_record(run.folder, execution.name, record)
    return record


def add_failure(run: Run, execution: Execution, error: str, before: RowsState) -> None:
    """One more row, for the whole notebook; rows that were written since `before` stay, older ones go."""
    params, path = execution.params, _rows_path(run, execution)
    identity = {
        "run": params.get("run"),
        "notebook": execution.notebook,
        "execution": execution.name,
        "row_id": short_id(execution.name, "whole notebook"),
        "task": task_label(params["task"]) if "task" in params else None,
        "model": model_label(params["model"]) if "model" in params else None,
        "seed": params.get("seed"),
        "label": "whole notebook",
    }
    row = rows.build(identity, {"status": "failed", "error": error})
    written = rows.read_rows(path) if rows_state(run, execution) not in (None, before) else []
    rows.write_rows(path, [*written, row])


def rows_state(run: Run, execution: Execution) -> RowsState:
    """What changes whenever the rows of an execution are replaced."""
    path = _rows_path(run, execution)
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path.exists() else None


def _rows_path(run: Run, execution: Execution) -> Path:
    return run.folder / "rows" / f"{execution.name}.jsonl"


def _run_notebook(run: Run, execution: Execution) -> str | None:
    """Execute into notebooks/, print into logs/; the reason in one line when it failed."""
    import papermill

    files.write_text(run.folder / "params" / f"{execution.name}.yaml", yaml.safe_dump(execution.params, sort_keys=False))
    source, target = paths.NOTEBOOKS / f"{execution.notebook}.ipynb", run.folder / "notebooks" / f"{execution.name}.ipynb"
    log_path = run.folder / "logs" / f"{execution.name}.log"
    for folder in (target.parent, log_path.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with open(log_path, "w", encoding="utf-8") as log, files.temporary_folder(sockets_folder(), SOCKETS) as sockets:
        try:
            with redirect_stdout(log), redirect_stderr(log), _stderr_into(log), _kernel_environment(execution.params):
                papermill.execute_notebook(
                    _literal(source),
                    _literal(target),
                    parameters=execution.params,
                    kernel_name="python3",
                    progress_bar=False,
                    log_output=False,
                    stdout_file=log,
                    stderr_file=log,
                    start_timeout=START_S,
                    config=_kernel_config(sockets),
                    extra_arguments=list(KERNEL),
                )
        except Exception as error:  # the exception alone tells: papermill records a dead kernel as a success
            log.write(f"{error}\n")
            return _reason(error)
    return None


def _write_page(run: Run, execution: Execution) -> str | None:
    """Write the page; the reason in one line when that failed."""
    try:
        resolve(run.page)(run.folder / "notebooks" / f"{execution.name}.ipynb", run.folder / "pages" / f"{execution.name}.html")
    except Exception as error:  # whatever a renderer raises: the execution failed, the others go on
        return f"the page could not be written: {one_line(error)}"
    return None


def _literal(path: Path) -> str:
    """A path for papermill, which fills in what stands in braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _reason(error: Exception) -> str:
    """One line: what the cell raised, or why the kernel gave no answer."""
    from papermill.exceptions import PapermillExecutionError

    if not isinstance(error, PapermillExecutionError):
        return one_line(error)
    return line_of(error.evalue, kind="" if error.ename in OWN_WORDS else error.ename)


def sockets_folder() -> Path:
    """Where sockets may be: a folder with a short path, whatever TMPDIR says."""
    folders = (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp"), Path.home())
    return next((folder for folder in folders if len(str(folder)) <= LONGEST_FOLDER and os.access(folder, os.W_OK)), folders[0])


def _kernel_config(sockets: Path) -> Any:
    """Kernels on sockets of their own: those that start at the same time on TCP race for ports."""
    from traitlets.config import Config

    return Config(KernelManager={"transport": "ipc", "ip": f"{sockets}/k", "connection_file": f"{sockets}/kernel.json"})


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


@contextmanager
def _kernel_environment(params: dict[str, Any]) -> Iterator[None]:
    """What a kernel inherits: this Python, no modules of the current folder, quiet runtimes, the threads asked for."""
    saved = dict(os.environ)
    os.environ |= dict.fromkeys(THREADS, str(max(params.get("train_threads", 1), params.get("threads", 1))))
    os.environ |= {"PYDEVD_DISABLE_FILE_VALIDATION": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "TQDM_DISABLE": "1", "PYTHONSAFEPATH": "1"}
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)
