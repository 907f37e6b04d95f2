"""What was measured, as a row's columns: scores with intervals, paired differences, paired speed-ups, sizes."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from edgebook import stats
from edgebook.measure.session import Measured
from edgebook.runtimes import Artifact


def correct(measured: Measured, labels: np.ndarray, split: str) -> np.ndarray:
    """Which of the scored items were answered right, bool (n,)."""
    return measured.outputs[split].argmax(1) == labels[measured.items[split]]


def quality(measured: Measured, labels: dict[str, np.ndarray]) -> dict[str, Any]:
    """score, its Wilson interval, val_score, n_test; per-class accuracy, macro-F1 and calibration error in `extra`."""
    right = correct(measured, labels["test"], "test")
    lo, hi = stats.wilson(int(right.sum()), len(right))
    outputs, truth = measured.outputs["test"], labels["test"][measured.items["test"]]
    classes = stats.per_class(truth, outputs.argmax(1), outputs.shape[1])
    more = {
        "macro_f1": classes["macro_f1"],
        "worst_class_accuracy": min((a for a in classes["accuracy"] if a is not None), default=None),
        "calibration_error": stats.expected_calibration_error(outputs, truth),
    }
    return {
        "metric": "accuracy", "score": float(right.mean()), "score_lo": lo, "score_hi": hi,
        "val_score": float(correct(measured, labels["val"], "val").mean()), "n_test": len(right), "extra": more,
    }  # fmt: skip


def against_baseline(measured: Measured, base: Measured, labels: dict[str, np.ndarray]) -> dict[str, Any]:
    """delta with its paired interval and verdict, on the items that both files scored."""
    _, mine, theirs = np.intersect1d(measured.items["test"], base.items["test"], return_indices=True)
    own, other = correct(measured, labels["test"], "test")[mine], correct(base, labels["test"], "test")[theirs]
    delta, lo, hi = stats.paired_difference(own, other)
    return {"delta": delta, "delta_lo": lo, "delta_hi": hi, "verdict": stats.verdict(lo, hi)}


def same_answers(measured: Measured, outputs: np.ndarray) -> float:
    """Share of the scored test items on which the file answers like `outputs` (n, n_outputs of the whole split)."""
    return float((measured.outputs["test"].argmax(1) == outputs.argmax(1)[measured.items["test"]]).mean())


def latency(measured: Measured) -> dict[str, Any]:
    """Median over blocks with its interval, p90, number of calls; `extra` says when the machine was too noisy."""
    if not measured.blocks_p50:
        return {}
    median, lo, hi = stats.bootstrap_median(np.array(measured.blocks_p50))
    more = {"latency_unstable": True} if stats.unstable(np.array(measured.blocks_p50)) or not measured.steady else {}
    return {
        "latency_ms_p50": median, "latency_lo": lo, "latency_hi": hi, "n_repeats": measured.n_calls,
        "latency_ms_p90": float(np.median(measured.blocks_p90)), "extra": more,
    }  # fmt: skip


def speed(measured: Measured, base: Measured) -> dict[str, Any]:
    """speedup over the baseline's blocks of the same rounds, with interval and verdict."""
    rounds = min(len(measured.blocks_p50), len(base.blocks_p50))
    if rounds < 3:
        return {}
    own, other = np.array(measured.blocks_p50[:rounds]), np.array(base.blocks_p50[:rounds])
    ratio, lo, hi = stats.paired_ratio(other, own)
    noisy = stats.unstable(own) or stats.unstable(other)
    word = stats.speed_verdict(lo, hi)
    return {"speedup": ratio, "speedup_lo": lo, "speedup_hi": hi, "speed_verdict": "unstable" if noisy else word}


def drift(base: Measured) -> float | None:
    """How much the baseline's last blocks differ from its first, as a ratio less 1."""
    quarter = len(base.blocks_p50) // 4
    if not quarter:
        return None
    return float(np.median(base.blocks_p50[-quarter:]) / np.median(base.blocks_p50[:quarter]) - 1)


def inside(measured: Measured) -> dict[str, Any]:
    """What the runtime tells about the file, for `extra`: its slowest three layers, not all of them."""
    keys = ("n_nodes", "n_quantize", "int8_nodes", "int8_time", "quantize_time", "ops", "not_inspected")
    more = {key: measured.found[key] for key in keys if key in measured.found}
    if layers := measured.found.get("layers"):
        more["slowest_layers"] = layers[:3]
    return {"extra": more}


def merge(row: dict, values: dict) -> None:
    """Put `values` into the row; what they have in `extra` joins what is there."""
    row |= {**values, "extra": {**row["extra"], **values.get("extra", {})}}


def sizes(artifact: Artifact) -> dict[str, Any]:
    """Bytes of all that the file needs, on disk and deflated."""
    zipped = sum(len(zlib.compress(file.read_bytes(), 9)) for file in artifact.files)
    return {"size_bytes": artifact.size_bytes, "size_zip_bytes": zipped}
