"""What the outputs of a file that somebody else made mean for a task: scores of classes, a class number, one probability."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from edgebook.measure.measured import Measured
from edgebook.tasks.task import Task

CLIPPED = 0.25  # share of the values from which the items are of another scale than the file's input
FILLED = 1 / 32  # share of that input's range below which they are too: eight of 256 integers are left of the items


@dataclass(frozen=True)
class Form:
    """A form of outputs with one number per item. is_it: (values, number of classes) -> whether they have this form.

    scores: (values (n,), number of classes) -> (n, classes), the largest at the class that the value stands for.
    """

    said: str
    is_it: Callable[[np.ndarray, int], bool]
    scores: Callable[[np.ndarray, int], np.ndarray]
    has_confidence: bool = True


def understand(measured: Measured, task: Task | None) -> dict[str, Any]:
    """Bring the outputs of a file into the task's form, in place; for `extra`: what has to be known of that.

    Outputs that mean nothing for the task are removed, with `not_scored` as the reason: the file keeps its other figures.
    """
    if task is None:
        measured.not_scored = "no task was given"
        return {"not_scored": measured.not_scored}
    if measured.error or not measured.outputs:
        return {}
    if reason := _why_out_of_scale(measured):
        return _not_scored(measured, reason)
    n_given, n_needed = measured.outputs["test"][0].size, prod(task.kind.output_shape(task.input_shape, task.n_outputs))
    if n_given == n_needed or (not len(task.x_train) and task.kind.targets == "classes" and n_given > n_needed):
        return {}
    if n_given == 1 and task.kind.targets == "classes":
        values = np.concatenate([outputs.ravel() for outputs in measured.outputs.values()])
        for form in FORMS:
            if form.is_it(values, n_needed):
                measured.outputs = {split: form.scores(y.ravel(), n_needed) for split, y in measured.outputs.items()}
                return {"outputs_are": form.said} | ({} if form.has_confidence else {"calibration_error": None})
    needed = f"{n_needed} classes" if task.kind.targets == "classes" else f"{n_needed} numbers per item"
    return _not_scored(
        measured, f"the file gives {n_given} {'output' if n_given == 1 else 'outputs'} per item, the task has {needed}"
    )


def _not_scored(measured: Measured, reason: str) -> dict[str, Any]:
    measured.outputs, measured.items, measured.not_scored = {}, {}, reason
    return {"not_scored": reason}


def _why_out_of_scale(measured: Measured) -> str | None:
    """Why the figures would mean nothing for items of another scale than an integer input."""
    if not measured.input_range or (measured.clipped <= CLIPPED and measured.filled >= FILLED):
        return None
    low, high = measured.input_range
    clipped, filled = f"cannot hold {measured.clipped:.0%} of their values", f"is filled to {measured.filled:.1%} by their values"
    return (
        f"the items have another scale than its integer input, {low:.4g} to {high:.4g}, which "
        f"{clipped if measured.clipped > CLIPPED else filled}; preprocess.scale and preprocess.offset in "
        f"{measured.artifact.path.with_suffix('.json').name} beside it bring them into its range"
    )


def _are_labels(values: np.ndarray, n_classes: int) -> bool:
    return bool((values == np.round(values)).all() and values.min() >= 0 and values.max() < n_classes)


def _one_hot(values: np.ndarray, n_classes: int) -> np.ndarray:
    return np.eye(n_classes, dtype=np.float32)[values.astype(int)]


FORMS = (
    Form("a class number for each item, without a confidence", _are_labels, _one_hot, has_confidence=False),
    Form(
        "one probability for each item: the second class above 0.5",
        lambda values, n: n == 2 and bool((values >= 0).all() and (values <= 1).all()),
        lambda values, n: np.stack([1 - values, values], 1),
    ),
    Form(
        "one score for each item: the second class above 0",
        lambda values, n: n == 2,
        lambda values, n: np.stack([np.zeros_like(values), values], 1),
    ),
)
