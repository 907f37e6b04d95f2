"""Executions -> executed notebooks, pages and one index."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path
from typing import IO, Any

import yaml

from edgebook import parameters as params
from edgebook import rows
from edgebook.errors import BadInput
from edgebook.experiment.notebook import one_line
from edgebook.measure import machine
from edgebook.paths import reports_dir
from edgebook.runner.plan import Execution, check_data, plan, read_preset

MOST_JOBS = 4  # notebooks at once: more would wait for each other's measuring


def fingerprint(execution: Execution) -> str:
    """What decides an execution's outcome: its parameters, its notebook, and all of edgebook's source."""
    digest = hashlib.sha256(json.dumps(execution.params, sort_keys=True).encode())
    digest.update((params.NOTEBOOKS / f"{execution.notebook}.ipynb").read_bytes())
    for source in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(source.read_bytes())
    task = execution.params.get("task", "")
    if task.endswith(".npz"):
        digest.update(Path(task).read_bytes())
    return digest.hexdigest()


def run_preset(
    preset_path: Path, *, run: str, only: list[str] | None, overrides: list[str], fresh: bool, jobs: int | None = None
) -> int:
    """Execute what is not done yet, `jobs` notebooks at once (None: as many as the cores allow); the number of executions
    and rows that failed. Raises BadInput before the start.
    """
    executions = plan(read_preset(preset_path, overrides), run, only)
    folder = reports_dir() / run
    _check_writable(folder)
    check_data(executions)
    jobs = jobs or default_jobs(executions)
    started, failures, finished = time.perf_counter(), 0, 0
    for _, stage in groupby(executions, key=lambda execution: execution.notebook if _follows(execution) else None):
        for execution, state, seconds in _run_all(folder, list(stage), fresh, jobs):
            finished, failures = finished + 1, failures + (state["status"] != "ok")
            word = "found" if seconds is None else state["status"] if state["status"] == "ok" else f"FAILED: {state['error']}"
            spent = f"{seconds or 0:.0f} s, {time.perf_counter() - started:.0f} s in all"
            print(f"[{finished}/{len(executions)}] {execution.name}: {word} ({spent})", flush=True)
    failures += sum(row["status"] == "failed" for row in _rows(folder))
    return failures


def default_jobs(executions: list[Execution]) -> int:
    """Notebooks at once: those that the cores can train side by side. They measure one after the other in any case."""
    threads = max(max(e.params.get("train_threads", 1), e.params.get("threads", 1)) for e in executions)
    return max(1, min((os.cpu_count() or 1) // threads, MOST_JOBS))


def _follows(execution: Execution) -> bool:
    """Whether its inputs are the rows of the notebooks before it."""
    return execution.notebook.startswith(("60", "90"))


def _run_all(
    folder: Path, executions: list[Execution], fresh: bool, jobs: int
) -> Iterator[tuple[Execution, dict[str, Any], float | None]]:
    """Each execution with its record and its seconds (None: it was there already), as they end."""
    waiting = []
    for execution in executions:
        state = None if fresh else find_record(folder, execution)
        if state:
            yield execution, state, None
        else:
            waiting.append(execution)
    if min(jobs, len(waiting)) <= 1:
        for execution in waiting:
            yield execution, *run_one(folder, execution)
        return
    with ProcessPoolExecutor(min(jobs, len(waiting)), mp_context=get_context("spawn")) as pool:
        of = {pool.submit(run_one, folder, execution): execution for execution in waiting}
        for future in as_completed(of):
            yield of[future], *future.result()


def _rows(folder: Path) -> list[dict]:
    try:
        return rows.read_rows(folder)
    except BadInput:
        return []


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise BadInput(f"{folder}: cannot be written: {error.strerror}") from None


def _key(folder: Path, execution: Execution) -> str:
    return fingerprint(execution) + (_rows_hash(folder, execution) if _follows(execution) else "")


def find_record(folder: Path, execution: Execution) -> dict[str, Any] | None:
    """The record of an execution that went well with the same parameters, sources and inputs, or None."""
    record = folder / "state" / f"{execution.name}.json"
    state = json.loads(record.read_text()) if record.exists() else None
    return state if state and state["status"] == "ok" and state["key"] == _key(folder, execution) else None


def run_one(folder: Path, execution: Execution) -> tuple[dict[str, Any], float]:
    """Execute; the record that is kept of it, and how many seconds it took."""
    clock, key = time.perf_counter(), _key(folder, execution)
    error = _execute(folder, execution)
    if error:
        _write_failure(folder, execution, error)
    state = {"key": key, "status": "failed" if error else "ok", "error": error, "notebook": execution.notebook}
    rows.write_text_atomically(folder / "state" / f"{execution.name}.json", json.dumps(state))
    return state, time.perf_counter() - clock


def _write_failure(folder: Path, execution: Execution, error: str) -> None:
    """An execution that ended before its rows were written is itself a failed row."""
    known = {key: execution.params.get(key) for key in ("task", "model", "seed", "run")}
    row = rows.new_row(
        **known, notebook=execution.notebook, execution=execution.name, row_id=rows.short_id(execution.name),
        label="whole notebook", status="failed", error=error, commit=machine.commit(),
    )  # fmt: skip
    rows.write_rows(folder / "rows" / f"{execution.name}.jsonl", [row])


def _rows_hash(folder: Path, execution: Execution) -> str:
    """The rows of all executions before this one: a comparison is made again when one of them changed."""
    others = [file for file in sorted((folder / "rows").glob("*.jsonl")) if file.stem < execution.notebook]
    return hashlib.sha256(b"".join(file.read_bytes() for file in others)).hexdigest()


def _execute(folder: Path, execution: Execution) -> str | None:
    """Run the notebook, write its page; the error's one line, or None. Whatever happens, the page shows how far it got."""
    import papermill
    from traitlets.config import Config

    from edgebook.report.pages import notebook_page as html

    given = folder / "params" / f"{execution.name}.yaml"
    rows.write_text_atomically(given, yaml.safe_dump(execution.params, sort_keys=False))
    notebook = folder / "notebooks" / f"{execution.name}.ipynb"
    notebook.parent.mkdir(exist_ok=True)
    log, error = folder / "logs" / f"{execution.name}.log", None
    log.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="eb") as sockets, open(log, "w") as words:
        # IPC sockets: kernels that start at the same time on TCP race for ports
        config = Config(KernelManager={"transport": "ipc", "ip": f"{sockets}/k"})
        try:
            with redirect_stdout(words), redirect_stderr(words), _stderr_into(words), _kernel_environment():
                papermill.execute_notebook(
                    str(params.NOTEBOOKS / f"{execution.notebook}.ipynb"), str(notebook), parameters=execution.params,
                    kernel_name="python3", progress_bar=False, log_output=False, stdout_file=words, stderr_file=words,
                    cwd=str(params.NOTEBOOKS), config=config,
                )  # fmt: skip
        except Exception as problem:  # the raised exception alone tells: papermill records a dead kernel as a success
            error = f"{problem.ename}: {problem.evalue}" if hasattr(problem, "evalue") else one_line(problem)
            error = error.splitlines()[0][:300]
            words.write(error + "\n")
    if notebook.exists():
        html.page(notebook, folder / "pages" / f"{execution.name}.html")
    return error


@contextmanager
def _stderr_into(file: IO[str]) -> Iterator[None]:
    """What a kernel inherits as its stderr: its last words belong into the log, not between the lines of progress."""
    kept = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def _kernel_environment() -> Iterator[None]:
    """What a kernel inherits: this Python, no bytecode surprises, quiet runtimes, and threads as the params say."""
    kept = dict(os.environ)
    os.environ.pop("OMP_NUM_THREADS", None)
    os.environ |= {"PYDEVD_DISABLE_FILE_VALIDATION": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "TQDM_DISABLE": "1"}
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)
