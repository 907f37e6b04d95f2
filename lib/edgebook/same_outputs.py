"""What promises to change nothing, checked: outputs on items before and after, compared in one way everywhere."""

from __future__ import annotations

import numpy as np

from edgebook.errors import Unsupported

TOLERANCE = 1e-3  # of the largest output: rounding of floats in another order
N_ITEMS = 32  # items that decide
UNRELATED = 0.7  # relative error from which integers computed by two ways have little in common; 1.4 where they have nothing


def change(before: np.ndarray, after: np.ndarray) -> float:
    """The largest difference of two arrays (n, ...), as a share of the largest magnitude before; infinite for other shapes."""
    if before.shape != after.shape:
        return float("inf")
    if not before.size or np.array_equal(before, after):
        return 0.0
    with np.errstate(invalid="ignore"):
        largest = float(np.abs(after.astype(np.float64) - before.astype(np.float64)).max() / max(np.abs(before).max(), 1e-12))
    return largest if np.isfinite(largest) else float("inf")


def relative_error(outputs: np.ndarray, expected: np.ndarray) -> float:
    """Root of the mean squared difference of arrays (n, ...), in standard deviations of `expected` over the items; for what
    rounds on the way, where no two implementations agree bit by bit. A hundredth of the largest output is added to the
    deviation, so that constant outputs compare too. Infinite where either has values that are not finite.
    """
    if outputs.shape != expected.shape:
        return float("inf")
    with np.errstate(all="ignore"):
        difference = np.sqrt(((outputs - expected) ** 2).mean())
        scale = np.sqrt(((expected - expected.mean(0)) ** 2).mean()) + 0.01 * np.abs(expected).max()
        error = float(difference / scale) if difference else 0.0
    return error if np.isfinite(error) else float("inf")


def why_changed(before: np.ndarray, after: np.ndarray, *, tolerance: float = TOLERANCE) -> str | None:
    """None where the outputs stay within the tolerance, else by how much they change; a tolerance of 0 is bit by bit."""
    if before.shape != after.shape:
        return f"the outputs change from shape {before.shape} to {after.shape}"
    difference = change(before, after)
    return None if difference <= tolerance else f"the outputs change by up to {difference:.1%} of the largest"


def require_same(what: str, before: np.ndarray, after: np.ndarray, *, tolerance: float = TOLERANCE, hint: str = "") -> None:
    """Raises Unsupported (code `fidelity`), one line that begins with `what`, where the outputs change."""
    if reason := why_changed(before, after, tolerance=tolerance):
        raise Unsupported(f"{what}: {reason}{f': {hint}' if hint else ''}", code="fidelity")
