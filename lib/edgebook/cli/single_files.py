"""Commands on single files: made elsewhere, or of a network that is not trained yet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def measure(
    files: Annotated[list[Path], typer.Argument(help="files of any origin: model.onnx model.tflite")],
    task: Annotated[
        str | None, typer.Option(help="data set, or a path to your own, x_test and y_test are enough; no scores when left out")
    ] = None,
    baseline: Annotated[Path | None, typer.Option(help="file to compare with; the first when left out")] = None,
    runtime: Annotated[str | None, typer.Option(help="runtime of all files; by their extension when left out")] = None,
    output: Annotated[str, typer.Option(help="name of the output to score, where a file has several")] = "",
    threads: Annotated[int, typer.Option(min=1, help="threads of the runtimes")] = 1,
    measure_s: Annotated[float, typer.Option(min=0.05, help="seconds of timing per file")] = 2.0,
    limit_s: Annotated[float, typer.Option(min=1, help="seconds after which a runtime that hangs is ended")] = 120.0,
    device: Annotated[str, typer.Option(help="host, or ssh://user@host:port/path/of/python: the files run there")] = "host",
    out: Annotated[Path, typer.Option(help="folder for rows and page")] = Path("reports/measured"),
) -> None:
    """Measure files: score, size, memory, latency, boards, with intervals and verdicts against the first file or --baseline."""
    from edgebook.experiment.external_files import MeasureSettings, measure_external
    from edgebook.report.pages.index import index
    from edgebook.tasks.scoring_only import load_for_scoring

    settings = MeasureSettings(runtime, output, threads, measure_s, limit_s, device)
    data = None if task is None else load_for_scoring(task)
    rows = measure_external(files, data, out, baseline=baseline, settings=settings)
    _print(rows)
    print(index(out))
    if any(row["status"] == "failed" for row in rows):
        raise typer.Exit(1)


def _print(rows: list[dict]) -> None:
    """The table of the files that were measured, then what is to be said of each file, and where it fits."""
    from rich.markup import escape
    from rich.table import Table

    from edgebook.cli.console import show
    from edgebook.devices import load_devices
    from edgebook.report.columns import feeding
    from edgebook.report.tables import table
    from edgebook.report.targets import boards

    frame = table(rows).drop(columns=["status", "flags"], errors="ignore")
    shown, devices = Table(*map(escape, frame.columns), show_edge=False), load_devices()
    for line in frame[frame.runtime != ""].itertuples(index=False):
        shown.add_row(*map(escape, line))
    if shown.row_count:
        show(shown)
    for row in rows:
        fits = [f"boards: {boards(row, devices)}"] if row["status"] == "ok" else []
        for note in [*feeding(row), *row["extra"].get("flags", []), *([row["error"]] if row["error"] else []), *fits]:
            print(note if row["label"] in note else f"{row['label']}: {note}")


def profile(
    model: Annotated[str, typer.Option(help="architecture, or path/to/file.py:name")],
    task: Annotated[str, typer.Option(help="data set, or a path to your .npz")],
    board: Annotated[str | None, typer.Option(help="a board of devices.yaml; all when left out")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="argument=value of the builder; repeatable")] = None,
    runtime: Annotated[list[str] | None, typer.Option(help="only this runtime (repeat for more)")] = None,
    measure_s: Annotated[float, typer.Option(min=0, help="seconds of timing per file; 0: none")] = 0.1,
) -> None:
    """Cost before training: bytes, working memory and latency of a new network's files, where they fit, what is refused."""
    from edgebook import devices, parameters
    from edgebook.cli.own_data import read_settings
    from edgebook.measure import profile as files
    from edgebook.measure.cores import CORE
    from edgebook.models import allow_network, build_model
    from edgebook.naming import is_path
    from edgebook.tasks import load_task

    parameters.check({"model": model, "task": task, **({"runtimes": runtime} if runtime else {})}, where="profile")
    boards = devices.load_devices() if board is None else {board: devices.device(board)}
    if is_path(model):
        allow_network(model)
    data = load_task(task)
    net = build_model(model, data.input_shape, data.n_outputs, **read_settings(set_ or []))
    cores = dict.fromkeys(each.core for each in boards.values() if each.core and "c" in each.runtimes)
    rows = files.profile(net, data, runtimes=runtime, cores=list(cores) or [CORE], seconds=measure_s)
    print(f"{rows[0]['n_params']:,} parameters, {rows[0]['macs']:,} multiply-accumulates")
    _print_costs(rows, boards)


def _print_costs(rows: list[dict], boards: dict) -> None:
    """One line per file with the boards that it fits, then why there is no file."""
    from rich.markup import escape
    from rich.table import Table

    from edgebook.cli.console import show
    from edgebook.devices import need

    table = Table("runtime", "numbers", "flash, kB", "RAM, kB", "latency, ms", "board", show_edge=False)
    for row in (row for row in rows if row["status"] == "ok"):
        latency, is_process = row["latency_ms_est"] or row["latency_ms_p50"], row["rss_bytes"] is not None
        flash, ram = need(row)
        where = f"{row['runtime']} on {row['core']}" if row["core"] else row["runtime"]
        memory = None if is_process else ram  # that of a process is not the network's alone
        cells = (where, row["precision"], _kilobytes(flash), _kilobytes(memory), f"{latency:.4g}" if latency else "-")
        table.add_row(*map(escape, (*cells, _fits(row, boards) or "-")))
    show(table)
    reasons = {f"{row['runtime']} {row['precision']}: {_why_no_figures(row)}": None for row in rows if _why_no_figures(row)}
    print(*reasons, sep="\n", end="\n" if reasons else "")


def _fits(row: dict, boards: dict) -> str:
    """The boards that run a file and, where it has no room there, why."""
    from edgebook.devices import fit

    there = {name: each for name, each in boards.items() if row["runtime"] in each.runtimes and row["core"] in (None, each.core)}
    judged = {name: fit(row, each) for name, each in there.items()}
    return ", ".join(name if said["fits"] else f"{name}: {said['why']}" for name, said in judged.items())


def _why_no_figures(row: dict) -> str | None:
    """Why there is no file, with the layers that stand in its way, or why it was not counted."""
    layers = row["extra"].get("layers")
    missing = row["error"] if row["status"] != "ok" else row["extra"].get("not_counted")
    return f"{missing}; in {', '.join(layers)}" if missing and layers else missing


def _kilobytes(number: float | None) -> str:
    return "-" if number is None else f"{number / 1000:.1f}"


COMMANDS = (measure, profile)
