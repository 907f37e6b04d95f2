"""Files that this project did not make, measured like its own: the same session, the same columns, the same verdicts."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from edgebook import rows
from edgebook.errors import BadInput
from edgebook.measure import columns, machine
from edgebook.measure.flags import flags
from edgebook.measure.session import Measured, measure_files
from edgebook.naming import short_id
from edgebook.runtimes.base import Artifact, missing, runtime_of
from edgebook.tasks.task import Task

NAME = "measure"
CLIPPED = 0.25  # share of the values from which the items are of another scale than the file's input
FILLED = 1 / 32  # share of that input's range below which they are too: eight of 256 integers are left of the items
Row = dict[str, Any]


@dataclass(frozen=True)
class MeasureSettings:
    """How foreign files are measured. limit_s ends a runtime that hangs; runtime: by the extension when None; output: the name
    of the one that is scored, where files have several.
    """

    runtime: str | None = None
    output: str = ""
    threads: int = 1
    measure_s: float = 2.0
    limit_s: float = 120.0


def measure_external(
    paths: list[Path], task: Task, folder: Path, *, baseline: Path | None = None, settings: MeasureSettings | None = None
) -> list[Row]:
    """Rows of the files, written to `folder`/rows/measure.jsonl: one per file, in order, the baseline's first.

    All are compared with `baseline` (a path), or with the first file. A file that cannot be measured is a row with its reason.
    """
    settings = settings or MeasureSettings()
    files = list(dict.fromkeys([Path(baseline), *map(Path, paths)] if baseline else map(Path, paths)))
    identities = [_identity(file, task, folder, settings, is_base=file == files[0]) for file in files]
    ready = {
        one["row_id"]: Artifact(file, one["runtime"], "", output=settings.output)
        for one, file in zip(identities, files, strict=True)
        if one["status"] == "ok"
    }
    splits = {"val": task.x_val.numpy(), "test": task.x_test.numpy()}
    results = measure_files(
        list(ready.values()),
        splits,
        seconds=settings.measure_s,
        threads=settings.threads,
        who=NAME,
        limit_s=settings.limit_s,
    )
    measured = dict(zip(ready, results, strict=True))
    base_id = identities[0]["row_id"]
    session = {"session": short_id(NAME, time.time()), "machine": machine.describe(), "baseline_id": base_id}
    base_file = columns.file_columns(ready[base_id]) if base_id in ready else None
    built = []
    for one in identities:
        if one["row_id"] in ready:
            file = columns.file_columns(ready[one["row_id"]])
            base = (measured.get(base_id), base_file) if one["row_id"] != base_id and base_file else None
            one = rows.join(one, file, _figures(measured[one["row_id"]], file, base, task))
        built.append(rows.build(session, one))
        built[-1]["extra"]["flags"] = flags(built[-1])
    rows.write_rows(Path(folder) / "rows" / f"{NAME}.jsonl", built)
    return built


def _identity(file: Path, task: Task, folder: Path, settings: MeasureSettings, *, is_base: bool) -> Row:
    """Who and what, and a reason when it is known before the start."""
    row_id = short_id(NAME, str(file))
    identity = {
        "run": Path(folder).name,
        "notebook": NAME,
        "execution": NAME,
        "row_id": row_id,
        "point_id": row_id,
        "task": task.name,
        "model": "files",
        "case": short_id(task.fingerprint, "files")[:6],
        "role": "baseline" if is_base else "version",
        "family": "baseline" if is_base else "file",
        "method": "as given",
        "label": file.name,
        "batch_size": 1,
        "threads": settings.threads,
        "device": "host",
        "artifact": str(file.resolve()),
        "commit": machine.commit(),
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "status": "ok",
    }
    try:
        if not file.is_file():
            raise BadInput(f"{file}: no such file")
        identity["runtime"] = settings.runtime or runtime_of(file)
        if reason := missing(identity["runtime"]):
            identity |= {"status": "skipped", "error": reason}
    except BadInput as error:
        identity |= {"status": "failed", "error": str(error)}
    return identity


def _figures(measured: Measured, file: Row, base: tuple[Measured, Row] | None, task: Task) -> Row:
    """The measured columns; a failed baseline leaves scores and latencies without a comparison."""
    if error := measured.error or _misfit(measured, task):
        return {"rss_bytes": measured.rss_bytes, "status": "failed", "error": error}
    base_result, base_file = base if base and not base[0].error and base[0].batch == measured.batch else (None, None)
    known: Row = {"batch_size": measured.batch, "precision": measured.inspected.get("format")}
    known |= {name: measured.inspected.get(name) for name in ("macs", "n_params")}
    if base_result:
        known["compression_ratio"] = base_file["size_bytes"] / file["size_bytes"]
        known["agreement"] = _agreement(measured, base_result, task)
    return rows.join(columns.measured_columns(measured, base_result, task), known)


def _misfit(measured: Measured, task: Task) -> str | None:
    """Why the figures would mean nothing: the items do not fit the input, or the outputs are no scores of the task's classes."""
    if measured.input_range and (measured.clipped > CLIPPED or measured.filled < FILLED):
        low, high = measured.input_range
        clipped = f"cannot hold {measured.clipped:.0%} of the items' values"
        what = clipped if measured.clipped > CLIPPED else f"is filled to {measured.filled:.1%} by the items' values"
        return (
            f"its integer input, {low:.4g} to {high:.4g}, {what}; preprocess.scale and preprocess.offset in "
            f"{measured.artifact.path.with_suffix('.json').name} beside it bring them into its range"
        )
    n_outputs = measured.outputs["test"][0].size
    if task.kind.has_classes and n_outputs % task.n_outputs:
        return f"the file gives {n_outputs} outputs per item, the task has {task.n_outputs} classes"
    return None


def _agreement(measured: Measured, base: Measured, task: Task) -> float:
    """How alike two files answer the items that both were scored on, as the kind counts it."""
    _, mine, theirs = np.intersect1d(measured.items["test"], base.items["test"], return_indices=True)
    return task.kind.agreement(measured.outputs["test"][mine], base.outputs["test"][theirs])
