"""What a score is: one record that knows how outputs become a score, how sure it is, and how people read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Interval = tuple[float, float]
Array = np.ndarray


def no_details(outputs: Array, targets: Array) -> dict[str, Any]:
    """Nothing to tell beside the score."""
    return {}


@dataclass(frozen=True)
class Metric:
    """How outputs become a score, higher is better, with its uncertainty; and how people read it.

    Everything after `item_scores` works on item scores (n, ...) and targets (n, ...) alone: they are what samples keep, so
    the report compares two files without outputs, networks or kinds.
    """

    name: str
    label: str  # as people read it: "accuracy", "mean IoU"
    item_scores: Callable[[Array, Array, Array], Array]  # (outputs, inputs, targets) -> (n, ...)
    score: Callable[[Array, Array], float]  # (item scores, targets)
    interval: Callable[[Array, Array], Interval]  # 95 %, of the score
    difference: Callable[[Array, Array, Array], tuple[float, float, float]]  # (a, b, targets) -> (a - b, lo, hi), paired
    chance: Callable[[Array], float]  # score of the best constant answer, from the targets
    margin: Callable[[Array], float]  # a difference that does not matter, from the targets
    details: Callable[[Array, Array], dict[str, Any]] = no_details  # (outputs, targets) -> for a row's `extra`
    scale: float = 100.0  # shown = score * scale
    unit: str = "%"  # of the shown score
    difference_unit: str = "points"
    decimals: int = 1  # of the shown score
    perfect: float = 1.0  # score of predictions without an error
