"""Commands on whole runs: execute a preset, make its pages again, ask what to ship."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from edgebook.errors import BadInput

MOST_PROBLEMS = 5  # with the records of a run that are printed; its index lists more
RunName = Annotated[str, typer.Argument(help="name of a run: the folder under reports/")]


def run(
    preset: Annotated[Path, typer.Argument(help="quick, standard, smoke, full, or a file: path/to/preset.yaml")],
    only: Annotated[list[str] | None, typer.Option(help="only this notebook (repeat for more)")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="notebook.parameter=value, or shared.parameter=value")] = None,
    name: Annotated[str | None, typer.Option(help="name of the run; the preset's when left out")] = None,
    fresh: Annotated[bool, typer.Option(help="execute again what is already done")] = False,
    dry_run: Annotated[bool, typer.Option(help="list executions and pages, start nothing")] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="notebooks at once, at most; what cores and memory allow if left out")
    ] = None,
    plain: Annotated[bool, typer.Option(help="a line for each execution, also in a terminal")] = False,
    scheduler: Annotated[str | None, typer.Option(help="execute on a Dask cluster, tcp://host:8786; see docs/cluster.md")] = None,
) -> None:
    """Run a preset: notebooks, pages, index. What is done is found again; what was stopped goes on."""
    from edgebook.runner.plan import chosen, plan
    from edgebook.runner.preset import read_preset

    name = preset.stem if name is None else name
    folder = run_folder(name, where="--name")
    if dry_run:
        for execution in chosen(plan(read_preset(preset, set_ or []), name), only or []):
            print(f"{execution.name}  ->  {folder / 'pages' / execution.name}.html")
        return
    from edgebook.runner.run import Calls, Options, run_preset

    options = Options(tuple(only or ()), tuple(set_ or ()), fresh, jobs, plain, scheduler)
    failures = run_preset(preset, name, options, Calls(**CALLS))
    report(name)
    if failures:
        print(f"edgebook: {failures} failed; the index lists them with the reasons", file=sys.stderr)
        raise typer.Exit(1)


def report(name: RunName = "quick") -> None:
    """Make a run's index.html, rows.jsonl and rows.csv again from its rows."""
    from edgebook.report.pages.index import index

    print(index(run_folder(name)))


def status(name: Annotated[str | None, typer.Argument(help="name of a run; all when left out")] = None) -> None:
    """Show how far a run is: each execution with its state, time and reason."""
    from rich.markup import escape
    from rich.table import Table

    from edgebook.cli.console import show
    from edgebook.paths import reports_dir
    from edgebook.run_folder import RUN
    from edgebook.runner.progress import duration
    from edgebook.runner.status import run_status

    folders = sorted(path.parent for path in reports_dir().glob(f"*/{RUN}")) if name is None else [run_folder(name)]
    if missing := [folder for folder in folders if not (folder / RUN).is_file()] or ([] if folders else [reports_dir()]):
        raise BadInput(f"{missing[0]}: no run here; `edgebook run quick` makes one")
    for state in (run_status(folder) for folder in folders):
        if name is not None:
            table = Table("execution", "state", "time", "reason", show_edge=False)
            for each in state.executions:
                time_text = "" if each.seconds is None else duration(each.seconds)
                table.add_row(
                    *map(escape, (each.name, each.state, time_text, ": ".join(filter(None, (each.reason, each.error)))))
                )
            show(table)
        print(f"{state.name}: {state.summary}")


def pick(
    name: RunName = "quick",
    task: Annotated[str | None, typer.Option(help="only this data set")] = None,
    model: Annotated[str | None, typer.Option(help="only this architecture")] = None,
    runtime: Annotated[str | None, typer.Option(help="only this runtime")] = None,
    max_loss: Annotated[float | None, typer.Option(help="score that may be lost; the metric's margin when left out")] = None,
    max_size_kb: Annotated[float | None, typer.Option(help="largest file, kB (1,000 bytes)")] = None,
    max_latency_ms: Annotated[float | None, typer.Option(help="longest median call, ms")] = None,
) -> None:
    """Name the file to ship, for every task and model of a run: chosen on validation, with its test score."""
    from edgebook.registry import pick as known
    from edgebook.report.choose import Limits
    from edgebook.report.document import read
    from edgebook.runtimes.base import RUNTIMES

    if runtime is not None:
        known(RUNTIMES, runtime, "runtime")
    limits = Limits(max_loss, None if max_size_kb is None else max_size_kb * 1000, max_latency_ms, runtime)
    document = read(run_folder(name))
    for problem in document.problems[:MOST_PROBLEMS]:
        print(f"edgebook: {problem}", file=sys.stderr)
    if len(document.problems) > MOST_PROBLEMS:
        print(f"edgebook: {len(document.problems) - MOST_PROBLEMS} problems more with the records", file=sys.stderr)
    cases = [case for case in document.cases if task in (None, case.task) and model in (None, case.model)]
    if not cases:
        there = ", ".join(sorted({f"{case.task} {case.model}" for case in document.cases})) or "none, it has no figures"
        raise BadInput(f"{name}: no rows of task {task or 'any'} and model {model or 'any'}; allowed: {there}")
    for case in cases:
        answer = case.answer(limits)
        print(f"{case.title}, {case.setting}: {answer.text}")
        if answer.row and answer.row["artifact"]:
            path = document.folder / answer.row["artifact"]
            reason = _why_not(path, answer.row["sha256"])
            print(f"  {path}{reason or ''}")
            if not reason:
                print(f"  edgebook bundle {name} {answer.row['row_id']}")


def _why_not(path: Path, digest: str | None) -> str | None:
    """Why a file cannot be shipped, what follows its name: it is not there, or not the one that was measured."""
    from edgebook import files

    if not path.is_file():
        return " is missing; `edgebook run` makes it again"
    if digest and files.sha256(path) != digest:
        return " is damaged, do not ship it; `edgebook run` makes it again"
    return None


def run_folder(name: str, where: str = "NAME") -> Path:
    """The folder of a run. Raises BadInput for a name that is no plain folder name."""
    from edgebook.parameters import check
    from edgebook.paths import reports_dir

    check({"run": name}, where=where)
    return reports_dir() / name


CALLS = {
    "check": "edgebook.experiment.preflight:check",
    "page": "edgebook.report.pages.notebook_page:page",
    "data": "edgebook.experiment.preflight:data_fingerprints",
    "prepare": "edgebook.runtimes.exporter_tables:build",
}
COMMANDS = (run, status, report, pick)
