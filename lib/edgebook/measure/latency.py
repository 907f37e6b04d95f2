"""Blocks of timed calls, as columns: the median with its interval, and the speed-up over another file of the session."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebook.measure.measured import Measured
from edgebook.metrics.latency import bootstrap_median, paired_ratio, unstable
from edgebook.metrics.verdicts import speed_verdict

LEAST_BLOCKS = 5  # undisturbed ones; with fewer, all blocks count and the latency is called unstable


def latency_columns(measured: Measured) -> dict[str, Any]:
    """Median over the undisturbed blocks with its interval, p90, number of calls. `extra` has the share of blocks that
    other work disturbed, and says when the machine was too noisy.
    """
    if not measured.blocks_p50:
        return {}
    quiet = undisturbed(measured)
    kept = quiet if quiet.sum() >= LEAST_BLOCKS else np.ones_like(quiet)
    blocks = np.array(measured.blocks_p50)[kept]
    median, lo, hi = bootstrap_median(blocks, processes=_processes(measured)[kept])
    extra: dict[str, Any] = {"disturbed": round(1 - float(quiet.mean()), 3), "baseline_drift": drift(measured)}
    if quiet.sum() < LEAST_BLOCKS or unstable(blocks) or not measured.steady:
        extra["latency_unstable"] = True
    if measured.calls > 1:
        extra |= {"steps": measured.calls, "step_ms": median / measured.calls}
    return {
        "latency_ms_p50": median,
        "latency_lo": lo,
        "latency_hi": hi,
        "n_repeats": measured.n_calls,
        "latency_ms_p90": float(np.median(np.array(measured.blocks_p90)[kept])),
        "extra": extra,
    }


def speed_columns(measured: Measured, base: Measured) -> dict[str, Any]:
    """speedup over the base's blocks of the same undisturbed rounds, with interval and verdict; the base's drift in `extra`."""
    quiet = undisturbed(measured, base)
    if len(quiet) < 3:
        return {}
    few = quiet.sum() < LEAST_BLOCKS
    kept = np.flatnonzero(np.ones_like(quiet) if few else quiet)
    blocks, base_blocks = np.array(measured.blocks_p50)[kept], np.array(base.blocks_p50)[kept]
    ratio, lo, hi = paired_ratio(base_blocks, blocks, processes=_processes(measured)[kept])
    noisy = few or unstable(blocks) or unstable(base_blocks)
    return {
        "speedup": ratio,
        "speedup_lo": lo,
        "speedup_hi": hi,
        "speed_verdict": "unstable" if noisy else speed_verdict(lo, hi),
        "extra": {"baseline_drift": drift(base)},
    }


def undisturbed(*several: Measured) -> np.ndarray:
    """Mask of the rounds that nothing disturbed in any of the files."""
    rounds = min(len(measured.blocks_p50) for measured in several)
    masks = [measured.quiet[:rounds] or [True] * rounds for measured in several]
    return np.all(np.array(masks, bool).reshape(len(several), rounds), axis=0)


def drift(base: Measured) -> float | None:
    """How much a file's last undisturbed blocks differ from its first, as a ratio less 1."""
    blocks = np.array(base.blocks_p50)[undisturbed(base)]
    quarter = len(blocks) // 4
    if not quarter:
        return None
    return float(np.median(blocks[-quarter:]) / np.median(blocks[:quarter]) - 1)


def _processes(measured: Measured) -> np.ndarray:
    """Which process each block ran in, (n,)."""
    n = len(measured.blocks_p50)
    return np.array((measured.process or [0] * n)[:n])
