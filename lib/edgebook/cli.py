"""edgebook run | report | pick | measure | params | doctor"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from edgebook.errors import BadInput

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Which lightweight version of this network should ship?")
Run = Annotated[str, typer.Argument(help="name of a run, the folder under reports/")]


@app.command()
def run(
    preset: Annotated[Path, typer.Argument(help="params/quick.yaml, or just quick")],
    only: Annotated[list[str], typer.Option(help="only this notebook (repeat for more)")] = [],  # noqa: B006
    set_: Annotated[list[str], typer.Option("--set", help="notebook.parameter=value, or shared.parameter=value")] = [],  # noqa: B006
    name: Annotated[str | None, typer.Option(help="name of the run; the preset's when left out")] = None,
    fresh: Annotated[bool, typer.Option(help="execute again what is already done")] = False,
    dry_run: Annotated[bool, typer.Option(help="list executions and files, start nothing")] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="notebooks at once; cores / training threads when left out")] = None,
) -> None:
    """Run a preset: notebooks, pages, index. What is done already is found again; what was stopped goes on."""
    from edgebook.paths import reports_dir
    from edgebook.runner.plan import chosen, plan
    from edgebook.runner.preset import read_preset

    name = name or preset.stem
    if dry_run:
        for execution in chosen(plan(read_preset(preset, set_), name), only):
            print(f"{execution.name}  ->  {reports_dir() / name / 'pages' / execution.name}.html")
        return
    from edgebook.runner.run import Options, run_preset

    options = Options(tuple(only), tuple(set_), fresh, jobs)
    failures = run_preset(
        preset,
        name,
        options,
        check="edgebook.experiment.preflight:check",
        page="edgebook.report.pages.notebook_page:page",
    )
    _report(name)
    if failures:
        print(f"edgebook: {failures} failed; the index says which and why", file=sys.stderr)
        raise typer.Exit(1)


def _report(name: str) -> None:
    from edgebook.paths import reports_dir
    from edgebook.report.pages import notebook_page as html

    print(html.index(reports_dir() / name))


@app.command()
def report(name: Run = "quick") -> None:
    """Make a run's index, rows.jsonl and rows.csv again from its rows."""
    _report(name)


@app.command()
def pick(
    name: Run = "quick",
    task: Annotated[str | None, typer.Option(help="only this data set")] = None,
    model: Annotated[str | None, typer.Option(help="only this architecture")] = None,
    runtime: Annotated[str | None, typer.Option(help="only this runtime")] = None,
    max_loss: Annotated[float, typer.Option(help="validation score that may be lost to the baseline")] = 0.005,
    max_size_kb: Annotated[float | None, typer.Option(help="largest file, kB (1,000 bytes)")] = None,
    max_latency_ms: Annotated[float | None, typer.Option(help="slowest median call, ms")] = None,
) -> None:
    """Name what to ship, for every task and model of a run: chosen on validation, the test score beside it."""
    from edgebook.paths import reports_dir
    from edgebook.report import answer as choose
    from edgebook.rows import read_rows

    rows = [r for r in read_rows(reports_dir() / name) if task in (None, r["task"]) and model in (None, r["model"])]
    pairs = sorted({(row["task"], row["model"]) for row in rows})
    if not pairs:
        raise BadInput(f"{name}: no rows of task {task!r} and model {model!r}")
    limits = {"max_loss": max_loss, "max_latency_ms": max_latency_ms, "runtime": runtime}
    limits["max_size_bytes"] = None if max_size_kb is None else int(max_size_kb * 1000)
    for pair in pairs:
        own = [row for row in rows if (row["task"], row["model"]) == pair]
        print(f"{pair[0]} {pair[1]}: {choose.answer(own, **limits)}")
        if chosen := choose.choose(own, **limits):
            print(f"  {reports_dir() / name / chosen['artifact']}")


@app.command()
def measure(
    files: Annotated[list[Path], typer.Argument(help="files of any origin: model.onnx model.tflite")],
    task: Annotated[str, typer.Option(help="data set, or a path to your .npz")],
    baseline: Annotated[Path | None, typer.Option(help="file to compare with; the first when left out")] = None,
    runtime: Annotated[str | None, typer.Option(help="what runs them; by their extension when left out")] = None,
    threads: Annotated[int, typer.Option(min=1, help="threads of the runtimes")] = 1,
    measure_s: Annotated[float, typer.Option(min=0.05, help="seconds of timing a file")] = 2.0,
    limit_s: Annotated[float, typer.Option(min=1, help="seconds after which a runtime that hangs is ended")] = 120.0,
    out: Annotated[Path, typer.Option(help="folder for rows and page")] = Path("reports/measured"),
) -> None:
    """Measure files that were made elsewhere: accuracy, size, memory, latency, with intervals and verdicts."""
    from edgebook.experiment.external_files import measure_any
    from edgebook.report import tables
    from edgebook.report.pages import notebook_page as html
    from edgebook.tasks import load_task

    rows = measure_any(files, load_task(task), out, baseline=baseline, runtime=runtime, threads=threads,
                       measure_s=measure_s, limit_s=limit_s)  # fmt: skip
    table = tables.table(rows).drop(columns=["status", "flags"], errors="ignore")
    print(table[table.runtime != ""].to_string(index=False, line_width=130))
    for row in rows:
        for note in filter(None, (row["extra"].get("layout"), *row["extra"].get("flags", []), row["error"])):
            print(note if row["label"] in note else f"{row['label']}: {note}")
    print(html.index(out))
    if any(row["status"] == "failed" for row in rows):
        raise typer.Exit(1)


@app.command()
def params(notebook: Annotated[str | None, typer.Argument(help="a notebook's stem; all when left out")] = None) -> None:
    """The parameters of a notebook with type, default and meaning."""
    from rich.console import Console
    from rich.table import Table

    from edgebook.parameters import notebook_defaults, reference

    defaults = notebook_defaults(notebook) if notebook else {}
    table = Table("parameter", "default", "allowed", "meaning", show_edge=False)
    for line in reference(list(defaults) or None):
        unit = f" [{line['unit']}]" if line["unit"] else ""
        default = str(defaults.get(line["name"], ""))
        cells = (line["name"], default, line["type"], line["meaning"] + unit)
        table.add_row(*(cell.replace("[", r"\[") for cell in cells))
    Console().print(table)


@app.command()
def doctor() -> None:
    """What is here: the machine, each runtime with its versions or why it is absent, the data sets."""
    from edgebook import runtimes
    from edgebook.measure import machine
    from edgebook.paths import store_dir
    from edgebook.tasks import TASKS, load_task

    for key, value in machine.describe().items():
        print(f"{key:>14}: {', '.join(value) if isinstance(value, list) else value}")
    for name in runtimes.RUNTIMES:
        reason = runtimes.missing(name)
        print(f"{name:>14}: {reason or ', '.join(f'{k} {v}' for k, v in runtimes.versions(name).items())}")
    for name in TASKS:
        try:
            task = load_task(name)
            print(f"{name:>14}: {len(task.x_train)} train, {len(task.x_val)} validation, {len(task.x_test)} test")
        except BadInput as error:
            print(f"{name:>14}: {error}")
    print(f"{'store':>14}: {store_dir()}")


def main() -> None:
    """The command line; what the user got wrong is one line and exit code 2."""
    try:
        app()
    except BadInput as error:
        print(f"edgebook: {error}", file=sys.stderr)
        sys.exit(2)
