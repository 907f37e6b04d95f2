"""What was measured, as columns of a row: scores with intervals, paired differences, paired speed-ups, sizes."""

from __future__ import annotations

import hashlib
import zlib
from typing import Any

import numpy as np

from edgebook import lock
from edgebook.errors import Unsupported, one_line
from edgebook.measure import latency
from edgebook.measure.measured import Measured
from edgebook.measure.scoring import LAYOUTS
from edgebook.metrics.intervals import mcnemar_exact
from edgebook.metrics.verdicts import verdict
from edgebook.rows import join
from edgebook.runtimes.base import Artifact, versions
from edgebook.tasks.task import Task
from edgebook.vocabulary import precision

Columns = dict[str, Any]
CLIPPED = 0.01  # share of the values beyond an integer input's range from which it is told; ranges from calibration clip a few
INSPECTED = ("n_nodes", "n_quantize", "int8_nodes", "int8_time", "quantize_time", "ops", "operators", "not_inspected")


def failure_columns(error: BaseException) -> Columns:
    """The columns that say why there is no file."""
    if isinstance(error, Unsupported):
        return {"status": "unsupported", "error": one_line(error), "extra": {"unsupported": error.code}}
    return {"status": "failed", "error": one_line(error)}


def file_columns(artifact: Artifact) -> Columns:
    """Bytes of all that the file needs, on disk and deflated; its hash; the versions of what makes and runs it."""
    zipped = sum(len(zlib.compress(file.read_bytes(), 9)) for file in artifact.files)
    known = {
        "precision": artifact.precision,
        "weight_bits": precision(artifact.precision).weight_bits if artifact.precision else None,
        "size_bytes": artifact.size_bytes,
        "size_zip_bytes": zipped,
        "sha256": hashlib.sha256(artifact.path.read_bytes()).hexdigest(),
        "versions": versions(artifact.runtime),
    }
    return join(known, artifact.columns)


def measured_columns(measured: Measured, base: Measured | None, task: Task) -> Columns:
    """All measured columns of a file; `base`: the file that it is compared with, None for a baseline or where there is none.

    A file that failed half-way keeps what it showed, and its reason; one that was not scored has no score.
    """
    parts: list[Columns] = [{"rss_bytes": measured.rss_bytes}]
    if "test" in measured.outputs:
        parts += [score_columns(measured, task), portability_columns(measured, task)]
        if base is not None and "test" in base.outputs:
            parts.append(difference_columns(measured, base, task))
    parts += [latency.latency_columns(measured), inspection_columns(measured), feeding_columns(measured)]
    if base is not None:
        parts.append(latency.speed_columns(measured, base))
    return join(*parts, error_columns(measured))


def error_columns(measured: Measured) -> Columns:
    """Why a file was not measured, or not wholly; nothing for one that was."""
    if measured.unsupported:
        return {"status": "unsupported", "error": measured.error, "extra": {"unsupported": measured.unsupported}}
    return {"status": "failed", "error": measured.error} if measured.error else {}


def split_arrays(task: Task, split: str, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(x, y) of the scored items of a split."""
    x, y = getattr(task, f"x_{split}"), getattr(task, f"y_{split}")
    return x.numpy()[items], y.numpy()[items]


def item_scores(measured: Measured, task: Task, split: str) -> tuple[np.ndarray, np.ndarray]:
    """(item scores, targets) of the items that were scored, in order."""
    x, y = split_arrays(task, split, measured.items[split])
    return task.metric.item_scores(measured.outputs[split], x, y), y


def score_columns(measured: Measured, task: Task) -> Columns:
    """score with its interval, val_score, how many items each rests on, chance, margin; the metric's details in `extra`."""
    metric = task.metric
    scores, targets = item_scores(measured, task, "test")
    lo, hi = metric.interval(scores, targets)
    val_score, extra = None, {"n_test_split": len(task.y_test)}
    if "val" in measured.outputs:
        val_scores, val_targets = item_scores(measured, task, "val")
        val_lo, val_hi = metric.interval(val_scores, val_targets)
        val_score = metric.score(val_scores, val_targets)
        extra |= {"n_val": len(val_targets), "val_lo": val_lo, "val_hi": val_hi}
    return {
        "metric": metric.name,
        "score": metric.score(scores, targets),
        "score_lo": lo,
        "score_hi": hi,
        "val_score": val_score,
        "n_test": len(targets),
        "chance": metric.chance(targets),
        "margin": metric.margin(targets),
        "extra": extra | metric.details(measured.outputs["test"], targets),
    }


def difference_columns(measured: Measured, base: Measured, task: Task) -> Columns:
    """delta with its paired interval and verdict, on the test items that both files were scored on; the same difference on
    validation in `extra`, for what is chosen there.
    """
    a, b, targets = paired_items(measured, base, task, "test")
    delta, lo, hi = task.metric.difference(a, b, targets)
    extra: dict[str, Any] = {"n_paired": len(targets)}
    if "val" in measured.outputs and "val" in base.outputs:
        val_delta, val_lo, val_hi = task.metric.difference(*paired_items(measured, base, task, "val"))
        extra |= {"val_delta": val_delta, "val_delta_lo": val_lo, "val_delta_hi": val_hi}
    if a.dtype == bool:
        extra["mcnemar_p"] = mcnemar_exact(a, b)
    word = verdict(lo, hi, task.metric.margin(targets))
    return {"delta": delta, "delta_lo": lo, "delta_hi": hi, "verdict": word, "extra": extra}


def paired_items(measured: Measured, base: Measured, task: Task, split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(item scores of the file, of its base, targets) on the items of a split that both were scored on."""
    items, mine, theirs = np.intersect1d(measured.items[split], base.items[split], return_indices=True)
    scores, _ = item_scores(measured, task, split)
    base_scores, _ = item_scores(base, task, split)
    return scores[mine], base_scores[theirs], split_arrays(task, split, items)[1]


def agreement(measured: Measured, outputs: np.ndarray, task: Task) -> float | None:
    """How alike the file and `outputs` (of a network, on the whole test split) answer, as the kind counts it; None when the
    file was not scored.
    """
    if "test" not in measured.outputs:
        return None
    return task.kind.agreement(measured.outputs["test"], outputs[measured.items["test"]])


def inspection_columns(measured: Measured) -> Columns:
    """What the runtime tells about the file, for `extra`: its slowest three layers, not all of them."""
    extra = {key: measured.inspected[key] for key in INSPECTED if key in measured.inspected}
    if layers := measured.inspected.get("layers"):
        extra["slowest_layers"] = layers[:3]
    return {"extra": extra}


def feeding_columns(measured: Measured) -> Columns:
    """For `extra`: how the items reached the file where that is not as they are, which of several outputs was scored, and how
    far the optimized kernels are from the plain ones.
    """
    scale, offset = measured.preprocess
    told = {
        "output": measured.artifact.output or None,
        "not_scored": measured.not_scored,
        "layout": LAYOUTS[measured.layout].said,
        "preprocess": {"scale": scale, "offset": offset} if (scale, offset) != (1.0, 0.0) else None,
        "clipped_inputs": measured.clipped if measured.clipped >= CLIPPED else None,
        "kernel_error": measured.kernel_error,
        "not_compared": measured.not_compared,
    }
    return {"extra": {name: value for name, value in told.items() if value is not None}}


def portability_columns(measured: Measured, task: Task) -> Columns:
    """For `extra`: how an int8 ONNX file would answer without VNNI, see `portability`; the reason when that is not known."""
    artifact = measured.artifact
    if artifact.runtime != "onnx" or measured.inspected.get("format") != "int8-static" or measured.layout != "as given":
        return {}
    from edgebook.measure.portability import N_ITEMS, portability

    items = measured.items["test"][:N_ITEMS]
    x = task.x_test.numpy()[items]
    try:
        with lock.training():
            return {"extra": portability(artifact.path, x, measured.outputs["test"][: len(items)], task.kind.agreement)}
    except Exception as error:  # an operator that the evaluator lacks costs this figure, not the row
        return {"extra": {"not_emulated": one_line(error)[:200]}}
