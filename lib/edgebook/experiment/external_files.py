"""Files that this project did not make, measured like its own: the same session, the same columns, the same verdicts."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from edgebook import rows as rows_module
from edgebook import runtimes
from edgebook.errors import BadInput
from edgebook.measure import columns as figures
from edgebook.measure import flags, machine
from edgebook.measure.session import Measured, measure_files
from edgebook.runtimes import Artifact
from edgebook.tasks import Task

NAME = "measure"


def measure_any(
    paths: list[Path], task: Task, folder: Path, *, baseline: Path | None = None, runtime: str | None = None,
    threads: int = 1, measure_s: float = 2.0, limit_s: float = 120.0,
) -> list[dict[str, Any]]:  # fmt: skip
    """Rows of the files, written to `folder`/rows/measure.jsonl: one a file, in order, the baseline's first.

    All are compared with `baseline` (a path), or with the first file. `runtime` runs them, else what their extension
    says; `limit_s` ends a runtime that hangs. A file that cannot be measured is a row with its reason.
    """
    files = list(dict.fromkeys([Path(baseline), *map(Path, paths)] if baseline else map(Path, paths)))
    rows = [_row(file, task, folder, runtime, threads, first=file == files[0]) for file in files]
    ready = [(row, Artifact(file, row["runtime"], "")) for row, file in zip(rows, files) if row["status"] == "ok"]
    splits = {"val": task.x_val.numpy(), "test": task.x_test.numpy()}
    found = measure_files([a for _, a in ready], splits, seconds=measure_s, threads=threads, who=NAME, limit_s=limit_s)
    session, context = rows_module.short_id(NAME, time.time()), machine.describe()
    measured = {row["row_id"]: result for (row, _), result in zip(ready, found, strict=True)}
    base = measured.get(rows[0]["row_id"])
    for row, artifact in ready:
        row |= {"session": session, "machine": context, "baseline_id": rows[0]["row_id"]}
        row |= figures.of_file(artifact)
        _fill(row, measured[row["row_id"]], base, rows[0], task)
    rows_module.write_rows(Path(folder) / "rows" / f"{NAME}.jsonl", rows)
    return rows


def _row(file: Path, task: Task, folder: Path, runtime: str | None, threads: int, *, first: bool) -> dict[str, Any]:
    """Who and what, and a reason when it is known before the start."""
    row = rows_module.new_row(
        run=Path(folder).name, notebook=NAME, execution=NAME, row_id=rows_module.short_id(NAME, str(file)),
        task=task.name, model="files", family="baseline" if first else "file", method="as it came", label=file.name,
        batch_size=1, threads=threads, device="host", artifact=str(file.resolve()), commit=machine.commit(),
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )  # fmt: skip
    row["point_id"] = row["row_id"]
    try:
        if not file.is_file():
            raise BadInput(f"{file}: no such file")
        row["runtime"] = runtime or runtimes.runtime_of(file)
        if reason := runtimes.missing(row["runtime"]):
            row |= {"status": "skipped", "error": reason}
    except BadInput as error:
        row |= {"status": "failed", "error": str(error)}
    return row


def _fill(row: dict, measured: Measured, base: Measured | None, base_row: dict, task: Task) -> None:
    """The measured columns; a failed baseline leaves scores and latencies without a comparison."""
    if error := measured.error or _misfit(measured, task):
        row |= {"rss_bytes": measured.rss_bytes, "status": "failed", "error": error}
        return
    base = base if base_row["status"] == "ok" and base.batch == measured.batch else None
    row["batch_size"] = measured.batch
    row |= {"precision": measured.found.get("format"), **{key: measured.found.get(key) for key in ("macs", "n_params")}}
    figures.fill(row, measured, base, task)
    if measured.transposed:
        row["extra"]["layout"] = "channels last: the task's items were turned"
    if base is not None:
        row |= {"compression_ratio": base_row["size_bytes"] / row["size_bytes"], "agreement": _agreement(measured, base)}
    row["extra"]["flags"] = flags.flags(row)


def _misfit(measured: Measured, task: Task) -> str | None:
    """Why the answers are no scores of this task's classes; None when they are."""
    outputs = measured.outputs["test"]
    if outputs.ndim != 2 or outputs.shape[1] != task.n_outputs:
        return f"the file answers {outputs.shape[1:]} an item, the task has {task.n_outputs} classes"
    return None


def _agreement(measured: Measured, base: Measured) -> float:
    """Share of the items that both scored on which they answer alike."""
    _, mine, theirs = np.intersect1d(measured.items["test"], base.items["test"], return_indices=True)
    return float((measured.outputs["test"][mine].argmax(1) == base.outputs["test"][theirs].argmax(1)).mean())
