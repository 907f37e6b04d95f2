"""The files of an execution beside its rows: artifacts under their final names, and the samples behind the scores."""

from __future__ import annotations

import hashlib
import io
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgebook.experiment.notebook import Notebook
from edgebook.files import write_bytes, write_text
from edgebook.measure import columns
from edgebook.measure.session import Measured
from edgebook.runtimes.base import Artifact
from edgebook.tasks.task import Task


def settle(artifact: Artifact, row_id: str) -> Artifact:
    """The artifact and what lies beside it, renamed to `<row>-<hash of the file>`: a new file never replaces the one that
    rows of an earlier attempt name.
    """
    draft = artifact.path.name.removesuffix(artifact.path.suffix)
    digest = hashlib.sha256(artifact.path.read_bytes()).hexdigest()[:8]
    for file in artifact.path.parent.glob(f"{draft}.*"):
        os.replace(file, file.with_name(file.name.replace(draft, f"{row_id}-{digest}", 1)))
    return replace(artifact, path=artifact.path.with_name(f"{row_id}-{digest}{artifact.path.suffix}"))


def write_preprocess(artifact: Artifact, task: Task) -> Path:
    """`<file>.preprocess.json` beside a file: how raw data become its input and what its outputs are, for the device."""
    path = artifact.path.with_suffix(".preprocess.json")
    content = {
        "task": task.name,
        "kind": task.kind_name,
        "input_shape": list(task.input_shape),
        "class_names": list(task.class_names),
        "preprocess": task.preprocess,
    }
    write_text(path, json.dumps(content, indent=1))
    return path


def remove_stale_artifacts(folder: Path, built: list[dict[str, Any]]) -> None:
    """Delete what no row names any more, once the new rows are written."""
    named = {Path(row["artifact"]).stem for row in built if row["artifact"]}
    for file in folder.glob("*"):
        if file.name.split(".", 1)[0] not in named:
            file.unlink()


def save_samples(nb: Notebook, measured: dict[str, Measured], built: list[dict[str, Any]]) -> None:
    """Predictions, item scores and block medians of every measured row in one .npz per execution, the targets once; the rows
    that have arrays there name it.
    """
    arrays: dict[str, np.ndarray] = {"targets": nb.task.y_test.numpy()}
    for row_id, result in measured.items():
        if "test" in result.outputs:
            x, _ = columns.split_arrays(nb.task, "test", result.items["test"])
            arrays[f"{row_id}.items"] = result.items["test"].astype(np.int32)
            arrays[f"{row_id}.item_scores"] = columns.item_scores(result, nb.task, "test")[0]
            arrays[f"{row_id}.predictions"] = nb.task.kind.predict(result.outputs["test"], x)
        arrays[f"{row_id}.blocks_ms"] = np.array(result.blocks_p50, np.float32)
        arrays[f"{row_id}.blocks_quiet"] = np.array(result.quiet, bool)
    path = nb.run_dir / "samples" / f"{nb.execution}.npz"
    write_arrays(path, arrays)
    for row in built:
        if row["row_id"] in measured:
            row["samples"] = str(path.relative_to(nb.run_dir))


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """A compressed .npz, replaced whole or not at all."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_bytes(path, buffer.getvalue())
