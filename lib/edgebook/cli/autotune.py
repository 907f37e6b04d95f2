"""The command that looks for the best file for a board."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgebook.errors import BadInput

if TYPE_CHECKING:
    from edgebook.devices import Device
    from edgebook.runner.plan import Execution
    from edgebook.runner.preset import Preset

NOTEBOOK = "55_autotune"
MINUTES = {"minutes": 20.0}  # where neither the preset nor the user says


def autotune(
    preset: Annotated[str, typer.Argument(metavar="PRESET-OR-TASK", help="a preset, or a data set: digits, path/to/data.npz")],
    board: Annotated[str, typer.Option(help="a board of devices.yaml")],
    model: Annotated[str | None, typer.Option(help="architecture of the baseline, for a data set")] = None,
    max_loss: Annotated[float | None, typer.Option(help="score that may be lost; the metric's margin when left out")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="time to search, all calls together; the preset's, or 20, when left out")
    ] = None,
    flash_kb: Annotated[float | None, typer.Option(help="flash for the file, kB; all of the board's when left out")] = None,
    ram_kb: Annotated[float | None, typer.Option(help="working memory, kB; likewise")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="parameter=value of the notebook; repeatable")] = None,
    name: Annotated[str | None, typer.Option(help="name of the run")] = None,
) -> None:
    """The best file that fits a board: architecture or width, pruning, distillation, QAT, number format.

    Every trial is kept: Ctrl-C ends the search after the trial that is running and shows the best so far, the same command
    goes on. Rows and page are as those of any run.
    """
    from edgebook import parameters
    from edgebook.cli.own_data import read_settings

    options = {"max_loss": max_loss, "minutes": minutes, "flash_bytes": _bytes(flash_kb), "ram_bytes": _bytes(ram_kb)}
    given = {option: value for option, value in options.items() if value is not None}
    values: dict[str, Any] = {"board": board, **given, **read_settings(set_ or [])}
    parameters.check(values, where="autotune")
    content, run = _content(preset, model, values), name or f"autotune-{Path(preset).stem}-{board}"
    _check_board(content["notebooks"][NOTEBOOK])
    _execute(content, run)


def _execute(content: dict[str, Any], run: str) -> None:
    """Run the preset and print what each execution has found, also when it was stopped."""
    from edgebook.cli.runs import CALLS, report, run_folder
    from edgebook.files import check_own
    from edgebook.runner.plan import plan
    from edgebook.runner.preset import read_preset
    from edgebook.runner.run import AUTOTUNE, MARKS, Calls, Options, run_preset

    folder = run_folder(run, where="--name")
    check_own(folder, MARKS)
    written, failures = _written(folder / AUTOTUNE, content), 1
    try:
        failures = run_preset(written, run, Options(fresh=True, jobs=1, plain=True), Calls(**CALLS))
    finally:
        for execution in plan(read_preset(written), run):
            _print(folder, execution, is_measured=not failures)
    report(run)
    if failures:
        raise typer.Exit(1)


def _check_board(values: dict[str, Any]) -> None:
    """Raises BadInput for a board whose limits cannot be known or are less than what is asked for, before anything is trained."""
    from edgebook.search.goal import limits_of

    limits_of(_board(values))


def _board(values: dict[str, Any]) -> Device:
    """The board with the limits that the parameters give."""
    from edgebook.devices import device
    from edgebook.search.goal import board_within

    given = {name: values.get(name) for name in ("flash_bytes", "ram_bytes")}
    return board_within(device(values["board"]), **given, latency_ms=values.get("latency_budget_ms"))


def _bytes(kilobytes: float | None) -> float | None:
    return None if kilobytes is None else kilobytes * 1000


def _content(preset: str, model: str | None, values: dict[str, Any]) -> dict[str, Any]:
    """A preset with the notebook alone: for a data set, or for the points of a preset, each data set and network once."""
    from edgebook import paths
    from edgebook.experiment.new_study import usual_model
    from edgebook.naming import is_path
    from edgebook.parameters import notebook_defaults
    from edgebook.runner.preset import read_preset
    from edgebook.tasks import TASKS, load_task

    is_preset = (Path(preset).suffix == ".yaml" and model is None) or (paths.PRESETS / f"{preset}.yaml").is_file()
    if is_preset and model is not None:
        raise BadInput(f"--model {model}: the preset {preset} names its networks; allowed: --model with a data set")
    if not is_preset and not is_path(preset) and preset not in TASKS:
        raise BadInput(f"{preset!r} is neither a preset nor a data set; data sets: {', '.join(sorted(TASKS))}")
    if not is_preset:
        points = [{"task": preset, "model": model or usual_model(load_task(preset))}]
        return {"points": points, "notebooks": {NOTEBOOK: MINUTES | values}}
    read = read_preset(Path(preset))
    shared = {name: value for name, value in read.shared.items() if name in ("seed", *notebook_defaults(NOTEBOOK))}
    notebook = MINUTES | read.notebooks.get(NOTEBOOK, {}) | values
    return {"shared": shared, "points": _points(read), "notebooks": {NOTEBOOK: notebook}}


def _points(preset: Preset) -> list[dict[str, Any]]:
    """Each data set and network once, with what the notebook takes of their parameters."""
    from edgebook.parameters import notebook_defaults

    taken, points = notebook_defaults(NOTEBOOK), {}
    for point in preset.points:
        params = {name: value for name, value in point.params.items() if name in taken}
        points.setdefault(
            (point.task, point.model), {"task": point.task, "model": point.model, **({"params": params} if params else {})}
        )
    return list(points.values())


def _written(path: Path, content: dict[str, Any]) -> Path:
    import yaml

    from edgebook.files import write_text

    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, yaml.safe_dump(content, sort_keys=False))
    return path


def _print(folder: Path, execution: Execution, *, is_measured: bool) -> None:
    """What an execution's newest study has found, where the best file is, and what the test set says of it once measured."""
    from edgebook.report.targets import choices
    from edgebook.rows import read_rows
    from edgebook.search.outcome import read_outcome
    from edgebook.search.storage import FILE

    studies = sorted((folder / "autotune").glob(f"{execution.name}-*/{FILE}"), key=lambda path: path.stat().st_mtime)
    for study in studies[-1:]:
        found, params = read_outcome(study.parent), execution.params
        print(f"{params['task']} {params['model']}: {found.text}")
        if found.best:
            print(*(f"  {file}" for file in sorted((study.parent / "files").glob(f"{found.best.number}.*"))), sep="\n")
        if found.best and is_measured:
            rows = [row for row in read_rows(folder) if row["execution"] == execution.name]
            print(*choices(rows, {params["board"]: _board(params)}, max_loss=params["max_loss"]).values())


COMMANDS = (autotune,)
