"""What was measured, as a row's columns: scores with intervals, paired differences, paired speed-ups, sizes."""

from __future__ import annotations

import hashlib
import zlib
from typing import Any

import numpy as np

from edgebook import runtimes
from edgebook.measure.session import Measured
from edgebook.metrics import classification as classes
from edgebook.metrics import intervals as stats
from edgebook.runtimes import Artifact
from edgebook.tasks import Task


def correct(measured: Measured, labels: np.ndarray, split: str) -> np.ndarray:
    """Which of the scored items were answered right, bool (n,)."""
    return measured.outputs[split].argmax(1) == labels[measured.items[split]]


def quality(measured: Measured, labels: dict[str, np.ndarray]) -> dict[str, Any]:
    """score, its Wilson interval, val_score, n_test; per-class accuracy, macro-F1 and calibration error in `extra`."""
    right = correct(measured, labels["test"], "test")
    lo, hi = stats.wilson(int(right.sum()), len(right))
    outputs, truth = measured.outputs["test"], labels["test"][measured.items["test"]]
    by_class = classes.per_class(truth, outputs.argmax(1), outputs.shape[1])
    more = {
        "macro_f1": by_class["macro_f1"],
        "class_accuracy": by_class["accuracy"],
        "worst_class_accuracy": min((a for a in by_class["accuracy"] if a is not None), default=None),
        "calibration_error": classes.expected_calibration_error(outputs, truth),
    }
    return {
        "metric": "accuracy", "score": float(right.mean()), "score_lo": lo, "score_hi": hi,
        "val_score": float(correct(measured, labels["val"], "val").mean()), "n_test": len(right), "extra": more,
    }  # fmt: skip


def against_baseline(measured: Measured, base: Measured, labels: dict[str, np.ndarray]) -> dict[str, Any]:
    """delta with its paired interval and verdict, on the items that both files scored; McNemar's p in `extra`."""
    _, mine, theirs = np.intersect1d(measured.items["test"], base.items["test"], return_indices=True)
    own, other = correct(measured, labels["test"], "test")[mine], correct(base, labels["test"], "test")[theirs]
    delta, lo, hi = stats.paired_difference(own, other)
    more = {"mcnemar_p": stats.mcnemar_exact(own, other)}
    return {"delta": delta, "delta_lo": lo, "delta_hi": hi, "verdict": stats.verdict(lo, hi), "extra": more}


def same_answers(measured: Measured, outputs: np.ndarray) -> float:
    """Share of the scored test items on which the file answers like `outputs` (n, n_outputs of the whole split)."""
    return float((measured.outputs["test"].argmax(1) == outputs.argmax(1)[measured.items["test"]]).mean())


LEAST_BLOCKS = 5  # undisturbed ones; with fewer, all blocks count and the latency is called unstable


def _quiet(*several: Measured) -> np.ndarray:
    """Mask of the rounds that nothing disturbed in any of the files."""
    rounds = min(len(one.blocks_p50) for one in several)
    masks = [one.quiet[:rounds] or [True] * rounds for one in several]
    return np.all(np.array(masks, bool).reshape(len(several), rounds), axis=0)


def _processes(measured: Measured) -> np.ndarray:
    """Which process each block ran in, (n,)."""
    return np.array((measured.process or [0] * len(measured.blocks_p50))[: len(measured.blocks_p50)])


def latency(measured: Measured) -> dict[str, Any]:
    """Median over the undisturbed blocks with its interval, p90, number of calls. `extra` has the share of blocks that
    other work disturbed, and says when the machine was too noisy."""
    if not measured.blocks_p50:
        return {}
    quiet = _quiet(measured)
    kept = quiet if quiet.sum() >= LEAST_BLOCKS else np.ones_like(quiet)
    blocks = np.array(measured.blocks_p50)[kept]
    median, lo, hi = stats.bootstrap_median(blocks, processes=_processes(measured)[kept])
    more = {"disturbed": round(1 - float(quiet.mean()), 3)}
    if quiet.sum() < LEAST_BLOCKS or stats.unstable(blocks) or not measured.steady:
        more["latency_unstable"] = True
    return {
        "latency_ms_p50": median, "latency_lo": lo, "latency_hi": hi, "n_repeats": measured.n_calls,
        "latency_ms_p90": float(np.median(np.array(measured.blocks_p90)[kept])), "extra": more,
    }  # fmt: skip


def speed(measured: Measured, base: Measured) -> dict[str, Any]:
    """speedup over the baseline's blocks of the same undisturbed rounds, with interval and verdict."""
    quiet = _quiet(measured, base)
    if len(quiet) < 3:
        return {}
    if measured is base:
        return {"speedup": 1.0, "speedup_lo": 1.0, "speedup_hi": 1.0, "speed_verdict": "same"}
    few = quiet.sum() < LEAST_BLOCKS
    kept = np.flatnonzero(np.ones_like(quiet) if few else quiet)
    own, other = np.array(measured.blocks_p50)[kept], np.array(base.blocks_p50)[kept]
    ratio, lo, hi = stats.paired_ratio(other, own, processes=_processes(measured)[kept])
    noisy = few or stats.unstable(own) or stats.unstable(other)
    word = stats.speed_verdict(lo, hi)
    return {"speedup": ratio, "speedup_lo": lo, "speedup_hi": hi, "speed_verdict": "unstable" if noisy else word}


def drift(base: Measured) -> float | None:
    """How much the baseline's last undisturbed blocks differ from its first, as a ratio less 1."""
    blocks = np.array(base.blocks_p50)[_quiet(base)]
    quarter = len(blocks) // 4
    if not quarter:
        return None
    return float(np.median(blocks[-quarter:]) / np.median(blocks[:quarter]) - 1)


def inside(measured: Measured) -> dict[str, Any]:
    """What the runtime tells about the file, for `extra`: its slowest three layers, not all of them."""
    keys = ("n_nodes", "n_quantize", "int8_nodes", "int8_time", "quantize_time", "ops", "not_inspected")
    more = {key: measured.found[key] for key in keys if key in measured.found}
    if layers := measured.found.get("layers"):
        more["slowest_layers"] = layers[:3]
    return {"extra": more}


def portable(artifact: Artifact, measured: Measured, x: np.ndarray) -> dict[str, Any]:
    """For `extra`: how an int8 ONNX file would answer without VNNI, see `portability`; the reason when that is not known."""
    if artifact.runtime != "onnx" or measured.found.get("format") != "int8-static" or measured.transposed:
        return {}
    from edgebook import lock
    from edgebook.measure.portability import N_ITEMS, portability

    items = measured.items["test"][:N_ITEMS]
    try:
        with lock.training():
            return {"extra": portability(artifact.path, x[items], measured.outputs["test"][: len(items)].argmax(1))}
    except Exception as error:  # an operator that the evaluator lacks costs this figure, not the row
        return {"extra": {"not_emulated": f"{type(error).__name__}: {error}".splitlines()[0][:200]}}


def merge(row: dict, values: dict) -> None:
    """Put `values` into the row; what they have in `extra` joins what is there."""
    row |= {**values, "extra": {**row["extra"], **values.get("extra", {})}}


def of_file(artifact: Artifact) -> dict[str, Any]:
    """Bytes of all that the file needs, on disk and deflated; the file's hash; the versions of what makes and runs it."""
    zipped = sum(len(zlib.compress(file.read_bytes(), 9)) for file in artifact.files)
    return {
        "size_bytes": artifact.size_bytes,
        "size_zip_bytes": zipped,
        "sha256": hashlib.sha256(artifact.path.read_bytes()).hexdigest(),
        "versions": runtimes.versions(artifact.runtime),
    }


def fill(row: dict, measured: Measured, base: Measured | None, task: Task) -> None:
    """The measured columns of one row, `base` being the file that it is compared with (None: nothing to compare with). A
    file that failed half-way keeps what it showed and says why.
    """
    labels = {"val": task.y_val.numpy(), "test": task.y_test.numpy()}
    row["rss_bytes"] = measured.rss_bytes
    if measured.error:
        row |= {"status": "failed", "error": measured.error}
    if measured.outputs.keys() >= labels.keys():
        merge(row, quality(measured, labels))
        merge(row, portable(measured.artifact, measured, task.x_test.numpy()))
        if base and "test" in base.outputs:
            merge(row, against_baseline(measured, base, labels))
    merge(row, latency(measured))
    merge(row, inside(measured))
    if base:
        row |= speed(measured, base)
        row["extra"]["baseline_drift"] = drift(base)
