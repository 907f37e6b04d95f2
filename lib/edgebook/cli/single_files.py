"""Commands on single files that were made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def measure(
    files: Annotated[list[Path], typer.Argument(help="files of any origin: model.onnx model.tflite")],
    task: Annotated[str, typer.Option(help="data set, or a path to your .npz")],
    baseline: Annotated[Path | None, typer.Option(help="file to compare with; the first when left out")] = None,
    runtime: Annotated[str | None, typer.Option(help="runtime of all files; by their extension when left out")] = None,
    output: Annotated[str, typer.Option(help="name of the output to score, where a file has several")] = "",
    threads: Annotated[int, typer.Option(min=1, help="threads of the runtimes")] = 1,
    measure_s: Annotated[float, typer.Option(min=0.05, help="seconds of timing per file")] = 2.0,
    limit_s: Annotated[float, typer.Option(min=1, help="seconds after which a runtime that hangs is ended")] = 120.0,
    out: Annotated[Path, typer.Option(help="folder for rows and page")] = Path("reports/measured"),
) -> None:
    """Measure files: score, size, memory, latency, with intervals and verdicts against the first file or --baseline."""
    from edgebook.experiment.external_files import MeasureSettings, measure_external
    from edgebook.report.pages.index import index
    from edgebook.tasks import load_task

    settings = MeasureSettings(runtime, output, threads, measure_s, limit_s)
    rows = measure_external(files, load_task(task), out, baseline=baseline, settings=settings)
    _print(rows)
    print(index(out))
    if any(row["status"] == "failed" for row in rows):
        raise typer.Exit(1)


def _print(rows: list[dict]) -> None:
    """The table of the files that were measured, then what is to be said of each file."""
    from rich.console import Console
    from rich.table import Table

    from edgebook.report.columns import feeding
    from edgebook.report.tables import table

    frame = table(rows).drop(columns=["status", "flags"], errors="ignore")
    shown = Table(*frame.columns, show_edge=False)
    for line in frame[frame.runtime != ""].itertuples(index=False):
        shown.add_row(*line)
    Console().print(shown)
    for row in rows:
        for note in [*feeding(row), *row["extra"].get("flags", []), *([row["error"]] if row["error"] else [])]:
            print(note if row["label"] in note else f"{row['label']}: {note}")


COMMANDS = (measure,)
