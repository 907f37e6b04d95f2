"""Files that this project did not make, measured like its own: the same session, the same columns, the same verdicts."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from edgebook import lock, rows
from edgebook.boards import local, ssh
from edgebook.errors import BadInput
from edgebook.experiment.external_outputs import understand
from edgebook.files import check_own
from edgebook.measure import columns, machine
from edgebook.measure.flags import flags
from edgebook.measure.over_ssh import measure_over_ssh
from edgebook.measure.session import Measured, measure_files
from edgebook.naming import short_id
from edgebook.runtimes.base import Artifact, missing, runtime, runtime_of
from edgebook.runtimes.quiet import quiet
from edgebook.tasks.task import Task

NAME, HOST = "measure", "host"
NO_TASK = "no task"  # in the place of its name
OWN = ("artifacts", "rows")  # what an attempt that was stopped leaves in a folder
Row = dict[str, Any]


@dataclass(frozen=True)
class MeasureSettings:
    """How foreign files are measured. limit_s ends a runtime that hangs; runtime: by the extension when None; output: the name
    of the one that is scored, where files have several. device: host, or
    ssh://user@host:port/path/of/python. Raises BadInput for an unknown runtime, another form of a device and for numbers out of
    range.
    """

    runtime: str | None = None
    output: str = ""
    threads: int = 1
    measure_s: float = 2.0
    limit_s: float = 120.0
    device: str = HOST

    def __post_init__(self) -> None:
        if self.runtime is not None:
            runtime(self.runtime)
        if self.device != HOST:
            ssh.address(self.device)
        for name in ("measure_s", "limit_s"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise BadInput(f"{name} = {getattr(self, name)}; allowed: a number of seconds above 0")


def measure_external(
    paths: list[Path], task: Task | None, folder: Path, *, baseline: Path | None = None, settings: MeasureSettings | None = None
) -> list[Row]:
    """Rows of the files, written to `folder`/rows/measure.jsonl: one per file, in order, the baseline's first.

    All are compared with `baseline` (a path), or with the first file. A file that cannot be measured is a row with its reason;
    one that the task does not fit (or all, without a task) gets every figure but a score. Raises BadInput when there is nothing
    to measure, and for a folder with files of others.
    """
    settings = settings or MeasureSettings()
    files = list(dict.fromkeys([Path(baseline), *map(Path, paths)] if baseline else map(Path, paths)))
    check_own(Path(folder), [f"rows/{NAME}.jsonl"], OWN)
    identities = [_identity(file, task, folder, settings, is_base=file == files[0]) for file in files]
    if not any(one["status"] == "ok" for one in identities):
        raise BadInput(identities[0]["error"])
    for one, label in zip(identities, _labels(files), strict=True):
        one["label"] = label
    ready = _artifacts(files, identities, folder, settings)
    built = _measured_rows(identities, ready, task, settings)
    rows.write_rows(Path(folder) / "rows" / f"{NAME}.jsonl", built)
    return built


def _artifacts(files: list[Path], identities: list[Row], folder: Path, settings: MeasureSettings) -> dict[str, Artifact]:
    """row_id -> what is measured; the reason goes into the identity of a file that its runtime cannot take."""
    ready = {}
    for file, one in zip(files, identities, strict=True):
        if one["status"] != "ok":
            continue
        try:
            artifact = _artifact(file, one["runtime"], Path(folder).absolute() / "artifacts" / NAME / one["row_id"], settings)
        except Exception as error:  # what compiles a file may raise anything for one that it was not made for
            one |= columns.failure_columns(error)
        else:
            ready[one["row_id"]] = artifact
            one["artifact"] = str(artifact.path)
    return ready


def _artifact(file: Path, name: str, path: Path, settings: MeasureSettings) -> Artifact:
    """The file as a runtime takes it: itself, or what is derived from it, as Vela compiles files of LiteRT."""
    record = runtime(name)
    if not record.parent:
        return Artifact(file.resolve(), name, "", output=settings.output)
    path = path.with_suffix(record.extension)
    path.parent.mkdir(parents=True, exist_ok=True)
    with lock.training(), quiet():
        derived = record.side("export").derive(file, path, name)
    return Artifact(path, name, "", derived, settings.output)


def _measured_rows(identities: list[Row], ready: dict[str, Artifact], task: Task | None, settings: MeasureSettings) -> list[Row]:
    splits = {"val": task.x_val.numpy(), "test": task.x_test.numpy()} if task else {}
    splits = {split: x for split, x in splits.items() if len(x)}
    results = _measure_on(settings, list(ready.values()), splits)
    measured, notes = dict(zip(ready, results, strict=True)), {}
    for row_id, result in measured.items():
        notes[row_id] = understand(result, task)
    base_id = identities[0]["row_id"]
    session = {"session": short_id(NAME, time.time()), "machine": _machine(results), "baseline_id": base_id}
    built = []
    for one in identities:
        if one["row_id"] in ready:
            file = columns.file_columns(ready[one["row_id"]])
            base = (measured[base_id], ready[base_id].size_bytes) if base_id in ready and one["row_id"] != base_id else None
            one = rows.join(one, file, _figures(measured[one["row_id"]], file, base, task), {"extra": notes[one["row_id"]]})
        built.append(rows.build(session, one))
        built[-1]["extra"]["flags"] = flags(built[-1])
    return built


def _measure_on(settings: MeasureSettings, artifacts: list[Artifact], splits: dict[str, np.ndarray]) -> list[Measured]:
    """The files measured on the device of the settings; all of them with the reason where it cannot be used."""
    common = {"seconds": settings.measure_s, "threads": settings.threads, "who": NAME}
    if settings.device == HOST:
        board = replace(local.BOARD, limit_s=settings.limit_s)
        return measure_files(artifacts, splits, **common, board=board)
    return measure_over_ssh(settings.device, artifacts, splits, **common, limit_s=settings.limit_s)


def _machine(results: list[Measured]) -> Row:
    """Where the session was; this machine where there was none."""
    return next((result.session.machine for result in results if result.session), machine.describe())


def _labels(files: list[Path]) -> list[str]:
    """The name of each file; with its folder where several have one name, and with a number where that is the same too."""
    labels = [file.name for file in files]
    labels = [
        f"{file.absolute().parent.name}/{label}" if labels.count(label) > 1 else label for file, label in zip(files, labels)
    ]
    counts, seen, unique = Counter(labels), Counter(), []
    for label in labels:
        seen[label] += 1
        unique.append(f"{label} ({seen[label]})" if counts[label] > 1 else label)
    return unique


def _identity(file: Path, task: Task | None, folder: Path, settings: MeasureSettings, *, is_base: bool) -> Row:
    """Who and what, and a reason when it is known before the start."""
    row_id = short_id(NAME, str(file), settings.runtime)
    identity = {
        "run": Path(folder).name,
        "notebook": NAME,
        "execution": NAME,
        "row_id": row_id,
        "point_id": row_id,
        "task": task.name if task else NO_TASK,
        "model": "files",
        "case": short_id(task.fingerprint if task else NO_TASK, "files")[:6],
        "role": "baseline" if is_base else "version",
        "family": "baseline" if is_base else "file",
        "method": "as given",
        "label": file.name,
        "batch_size": 1,
        "threads": settings.threads,
        "device": settings.device if settings.device == HOST else ssh.address(settings.device).name,
        "artifact": str(file.resolve()),
        "commit": machine.commit(),
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "status": "ok",
    }
    try:
        identity["runtime"] = _runtime(file, settings.runtime)
        if settings.device == HOST and (reason := missing(identity["runtime"])):
            identity |= {"status": "skipped", "error": reason}
    except BadInput as error:
        identity |= {"status": "failed", "error": str(error)}
    return identity


def _runtime(file: Path, name: str | None) -> str:
    """The runtime of a file. Raises BadInput for a path that is no file, or one that a runtime cannot be asked about."""
    if not file.is_file():
        raise BadInput(f"{file}: {'is a folder' if file.is_dir() else 'no such file'}; allowed: a file")
    if name is None:
        return runtime_of(file)
    record = runtime(name)
    extension = runtime(record.parent).extension if record.parent else record.extension
    if file.suffix != extension:
        raise BadInput(f"{file}: {name} takes files of another kind; allowed: {extension}")
    return name


def _figures(measured: Measured, file: Row, base: tuple[Measured, int] | None, task: Task | None) -> Row:
    """The measured columns; a failed baseline leaves scores and latencies without a comparison."""
    if measured.error:
        return {"rss_bytes": measured.rss_bytes} | columns.error_columns(measured)
    base_result, base_size = base if base and not base[0].error and base[0].batch == measured.batch else (None, None)
    known: Row = {"batch_size": measured.batch, "precision": measured.inspected.get("format")}
    known |= {name: measured.inspected.get(name) for name in ("macs", "n_params")}
    if base_result and base_size:
        known["compression_ratio"] = base_size / file["size_bytes"]
        if task and "test" in measured.outputs and "test" in base_result.outputs:
            known["agreement"] = _agreement(measured, base_result, task)
    return rows.join(columns.measured_columns(measured, base_result, task), known)


def _agreement(measured: Measured, base: Measured, task: Task) -> float:
    """How alike two files answer the items that both were scored on, as the kind counts it."""
    _, mine, theirs = np.intersect1d(measured.items["test"], base.items["test"], return_indices=True)
    return task.kind.agreement(measured.outputs["test"][mine], base.outputs["test"][theirs])
