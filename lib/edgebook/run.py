"""Preset -> checked executions -> executed notebooks, pages and one index."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from edgebook import params, rows
from edgebook.errors import BadInput
from edgebook.lab import execution_name, one_line, reports_dir
from edgebook.measure import machine

SECTIONS = {"shared", "points", "notebooks", "once", "seeds"}
FIRST = "10_baseline"


@dataclass(frozen=True)
class Execution:
    """One notebook with its resolved parameters."""

    notebook: str
    name: str
    params: dict[str, Any]


def read_preset(path: Path, overrides: list[str] | None = None) -> dict[str, Any]:
    """The preset with `--set notebook.parameter=value` applied. Raises BadInput."""
    path = Path(path)
    if not path.exists() and path.suffix != ".yaml":
        known = params.NOTEBOOKS.parent / "params"
        path = known / f"{path.name}.yaml"
        if not path.exists():
            raise BadInput(f"preset {path.stem!r} is unknown; known: {', '.join(sorted(p.stem for p in known.glob('*.yaml')))}")
    preset = {"shared": {}, "points": [], "notebooks": {}, "once": [], "seeds": None, **params.read_yaml(path)}
    if unknown := preset.keys() - SECTIONS:
        raise BadInput(f"{path}: {', '.join(sorted(unknown))} is unknown; allowed: {', '.join(sorted(SECTIONS))}")
    for name, kind in (("shared", dict), ("notebooks", dict), ("points", list), ("once", list)):
        if not isinstance(preset[name], kind):
            raise BadInput(f"{path}: {name} = {preset[name]!r}: a {kind.__name__} is needed")
    for override in overrides or []:
        _apply(preset, override)
    preset["path"] = path
    return preset


def _apply(preset: dict[str, Any], override: str) -> None:
    """`20_prune_sweep.pruning_ratios=[0.5]` or `shared.seed=1`."""
    place, sign, text = override.partition("=")
    section, dot, name = place.partition(".")
    if not (sign and dot):
        raise BadInput(f"--set {override}: write notebook.parameter=value, or shared.parameter=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise BadInput(f"--set {override}: {text!r} is not a YAML value") from None
    target = preset["shared"] if section == "shared" else preset["notebooks"].setdefault(section, {})
    if section != "shared":
        params.notebook_defaults(section)
        for point in preset["points"]:
            point.get("params", {}).pop(name, None)
    target[name] = value


def plan(preset: dict[str, Any], run: str, only: list[str] | None = None) -> list[Execution]:
    """Every execution with its parameters, all checked: baselines first, then each notebook, then those that run once.

    Order of precedence: the notebook's cell < shared < notebooks < point. Raises BadInput, before anything is started.
    """
    where = str(preset["path"])
    for stem in only or []:
        params.notebook_defaults(stem)
    per_point = [stem for stem in preset["notebooks"] if stem not in preset["once"]]
    seeds = preset["seeds"] if preset["seeds"] is not None else [preset["shared"].get("seed", 0)]
    _check_names(preset, where)
    found = []
    for stem in sorted(per_point):
        for point in preset["points"]:
            if stem in point.get("only", per_point) and stem not in point.get("skip", []):
                found += [_execution(preset, stem, point, seed, run, where) for seed in seeds]
    found += [_execution(preset, stem, {}, None, run, where) for stem in preset["once"]]
    if len({execution.name for execution in found}) < len(found):
        raise BadInput(f"{where}: two points have the same task, model and seed; each execution needs its own name")
    chosen = [execution for execution in found if not only or execution.notebook in only]
    if not chosen:
        raise BadInput(f"{where}: nothing to run; it names {', '.join(sorted({e.notebook for e in found})) or 'no notebook'}")
    return chosen


def _check_names(preset: dict[str, Any], where: str) -> None:
    """Every section's names exist, also where no notebook would use them."""
    params.check(preset["shared"], where=f"{where}: shared")
    for stem, own in preset["notebooks"].items():
        known = params.notebook_defaults(stem)
        if unknown := (own or {}).keys() - known:
            raise BadInput(
                f"{where}: {stem}.{', '.join(sorted(unknown))} is not a parameter of that notebook; known: {', '.join(known)}"
            )
    for stem in preset["once"]:
        params.notebook_defaults(stem)
    for index, point in enumerate(preset["points"]):
        if not isinstance(point, dict) or not {"task", "model"} <= point.keys() <= {"task", "model", "only", "skip", "params"}:
            raise BadInput(f"{where}: points[{index}] = {point!r}: task and model are needed; only, skip and params are allowed")
        params.check(point.get("params", {}), where=f"{where}: points[{index}]")
        for stem in [*point.get("only", []), *point.get("skip", [])]:
            params.notebook_defaults(stem)
            if stem not in preset["notebooks"]:
                raise BadInput(f"{where}: points[{index}] names {stem}, which is not under notebooks")


def _execution(preset: dict, stem: str, point: dict, seed: int | None, run: str, where: str) -> Execution:
    defaults = params.notebook_defaults(stem)
    own = {"task": point.get("task"), "model": point.get("model"), "seed": seed, "run": run}
    layers = [preset["shared"], preset["notebooks"].get(stem) or {}, point.get("params", {}), own]
    values = dict(defaults)
    for layer in layers:
        values |= {name: value for name, value in layer.items() if name in defaults and value is not None}
    params.check(values, where=f"{where}: {stem}")
    return Execution(stem, execution_name(stem, values), values)


def fingerprint(execution: Execution) -> str:
    """What decides an execution's outcome: its parameters, its notebook, and all of edgebook's source."""
    digest = hashlib.sha256(json.dumps(execution.params, sort_keys=True).encode())
    digest.update((params.NOTEBOOKS / f"{execution.notebook}.ipynb").read_bytes())
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(source.read_bytes())
    task = execution.params.get("task", "")
    if task.endswith(".npz"):
        digest.update(Path(task).read_bytes())
    return digest.hexdigest()


def run_preset(preset_path: Path, *, run: str, only: list[str] | None, overrides: list[str], fresh: bool) -> int:
    """Execute what is not done yet; the number of executions and rows that failed. Raises BadInput before the start."""
    executions = plan(read_preset(preset_path, overrides), run, only)
    folder = reports_dir() / run
    _check_writable(folder)
    check_data(executions)
    started, failures = time.perf_counter(), 0
    for number, execution in enumerate(executions, 1):
        clock = time.perf_counter()
        state, done = run_one(folder, execution, fresh=fresh, again=execution.notebook.startswith(("60", "90")))
        failures += state["status"] != "ok"
        word = "found" if done else state["status"] if state["status"] == "ok" else f"FAILED: {state['error']}"
        spent = f"{time.perf_counter() - clock:.0f} s, {time.perf_counter() - started:.0f} s in all"
        print(f"[{number}/{len(executions)}] {execution.name}: {word} ({spent})", flush=True)
    failures += sum(row["status"] == "failed" for row in _rows(folder))
    return failures


def check_data(executions: list[Execution]) -> None:
    """Load every data set and build every network once: what does not go together is said before anything starts."""
    from edgebook.models import build_model
    from edgebook.tasks import load_task

    tasks = {name: load_task(name) for name in dict.fromkeys(e.params["task"] for e in executions if "task" in e.params)}
    for execution in executions:
        p = execution.params
        for model, shape in (("model", "model_shape"), ("student", "student_shape")):
            if "task" in p and model in p:
                task = tasks[p["task"]]
                try:
                    build_model(p[model], task.input_shape, task.n_outputs, **p.get(shape, {}))
                except BadInput as error:
                    raise BadInput(f"{execution.name}: {error}") from None


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


def run_one(folder: Path, execution: Execution, *, fresh: bool, again: bool) -> tuple[dict[str, Any], bool]:
    """The record of an execution, and whether it was there already. `again`: its inputs are other notebooks' rows."""
    record = folder / "state" / f"{execution.name}.json"
    key = fingerprint(execution) + (_rows_hash(folder, execution) if again else "")
    if not fresh and record.exists():
        state = json.loads(record.read_text())
        if state["key"] == key and state["status"] == "ok":
            return state, True
    error = _execute(folder, execution)
    if error:
        _write_failure(folder, execution, error)
    state = {"key": key, "status": "failed" if error else "ok", "error": error, "notebook": execution.notebook}
    rows.write_text_atomically(record, json.dumps(state))
    return state, False


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

    from edgebook.report import html

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
            with redirect_stdout(words), redirect_stderr(words), _kernel_environment():
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
