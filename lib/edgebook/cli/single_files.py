"""Commands on single files that were made elsewhere."""

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
    out: Annotated[Path, typer.Option(help="folder for rows and page")] = Path("reports/measured"),
) -> None:
    """Measure files: score, size, memory, latency, boards, with intervals and verdicts against the first file or --baseline."""
    from edgebook.experiment.external_files import MeasureSettings, measure_external
    from edgebook.report.pages.index import index
    from edgebook.tasks.scoring_only import load_for_scoring

    settings = MeasureSettings(runtime, output, threads, measure_s, limit_s)
    data = None if task is None else load_for_scoring(task)
    rows = measure_external(files, data, out, baseline=baseline, settings=settings)
    _print(rows)
    print(index(out))
    if any(row["status"] == "failed" for row in rows):
        raise typer.Exit(1)


def _print(rows: list[dict]) -> None:
    """The table of the files that were measured, then what is to be said of each file, and where it fits."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from edgebook.devices import load_devices
    from edgebook.report.diagnostics import feeding
    from edgebook.report.tables import table
    from edgebook.report.targets import boards

    frame = table(rows).drop(columns=["status", "flags"], errors="ignore")
    shown, devices = Table(*map(escape, frame.columns), show_edge=False), load_devices()
    for line in frame[frame.runtime != ""].itertuples(index=False):
        shown.add_row(*map(escape, line))
    if shown.row_count:
        Console().print(shown)
    for row in rows:
        fits = [f"boards: {boards(row, devices)}"] if row["status"] == "ok" else []
        for note in [*feeding(row), *row["extra"].get("flags", []), *([row["error"]] if row["error"] else []), *fits]:
            print(note if row["label"] in note else f"{row['label']}: {note}")


COMMANDS = (measure,)
