"""The bundle of a row: its file with golden vectors of test items, and what its task says of data and outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from edgebook.boards import verify
from edgebook.boards.bundle import Golden, bundle
from edgebook.errors import BadInput, Unsupported
from edgebook.files import sha256
from edgebook.rows import Row, read_rows
from edgebook.runtimes.c import generate
from edgebook.runtimes.c.ends import parse
from edgebook.runtimes.quiet import quiet
from edgebook.same_outputs import TOLERANCE
from edgebook.tasks import load_task
from edgebook.vocabulary import precision

N_VECTORS = 8  # test items
SLACK = 1.01  # for the rounding of floats


def bundle_row(run_dir: Path, row_id: str, folder: Path) -> str:
    """Write the bundle of a run's row to `folder`, see `boards.bundle`; the SHA-256 of its manifest.

    row_id: the whole of it, or its beginning where no other begins so. Raises BadInput for a row that is not there or has no
    file, and for a file that has changed since it was measured.
    """
    row = _row(run_dir, row_id)
    file = run_dir / row["artifact"]
    if not file.is_file() or sha256(file) != row["sha256"]:
        raise BadInput(f"{file}: is not the file that was measured; run the preset again")
    task = load_task(_task_name(run_dir, row))
    data = {
        "labels": task.class_names,
        "preprocess": task.preprocess,
        "licence": task.licence,
        "source": task.source,
    }
    source = c_source(row["runtime"], file)
    golden = golden_vectors(row, file, task.x_test[:N_VECTORS].numpy(), source)
    return bundle(folder, file, row=row, data=data, golden=golden, source=source)


def golden_vectors(row: Row, file: Path, inputs: np.ndarray, source: str | None) -> Golden:
    """The outputs of a row's file for `inputs` (n, ...). The tolerance is what the runtimes of this machine that take the file
    differ by, and at least one step of an integer output, or a thousandth of the largest float."""
    with quiet():
        outputs = verify.outputs(row["runtime"], file, inputs)
        others = [_outputs_or_none(name, file, inputs) for name in verify.runtimes_for(row["runtime"], file)[1:]]
    largest = float(np.abs(outputs).max())
    step = parse(source).output[0] if source else largest / 127
    least = TOLERANCE * largest if precision(row["precision"]).is_float else step
    apart = [float(np.abs(other - outputs).max()) for other in others if other is not None and other.shape == outputs.shape]
    return Golden(inputs, outputs, SLACK * max([least, *apart]))


def _outputs_or_none(name: str, file: Path, inputs: np.ndarray) -> np.ndarray | None:
    try:
        return verify.outputs(name, file, inputs)
    except Exception:  # a runtime that is absent, or does not take this file: it is not compared
        return None


def c_source(runtime: str, file: Path) -> str | None:
    """The network of a file as C: the file itself, or generated from it; None where C has no kernel for it."""
    if runtime == "c":
        return file.read_text(encoding="utf-8")
    if file.suffix != ".tflite":
        return None
    try:
        return generate.source(file)
    except Unsupported:
        return None


def _row(run_dir: Path, row_id: str) -> Row:
    """The row of a run with a file whose id begins so."""
    rows = [row for row in read_rows(run_dir) if row["row_id"].startswith(row_id)]
    if len(rows) != 1:
        there = f"{len(rows)} rows begin so" if rows else "no row begins so"
        raise BadInput(f"{run_dir}: row {row_id!r}: {there}; allowed: a row_id of {run_dir / 'rows.csv'}")
    if rows[0]["status"] != "ok" or not rows[0]["artifact"]:
        raise BadInput(f"{run_dir}: row {row_id!r} has no file: {rows[0]['error'] or rows[0]['status']}")
    return rows[0]


def _task_name(run_dir: Path, row: Row) -> str:
    """The name or the path of a row's task: rows have the name, the execution's parameters the path."""
    params = run_dir / "params" / f"{row['execution']}.yaml"
    return yaml.safe_load(params.read_text(encoding="utf-8"))["task"] if params.is_file() else row["task"]
