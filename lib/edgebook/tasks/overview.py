"""What was understood of a data set, as text and numbers: for people who want to know before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebook.metrics.classification import UNEVEN, unevenness
from edgebook.tasks.task import SPLITS, Task

FEW_ITEMS = 30  # of a class in test, below which its share of correct ones is hardly known
FEW_GROUPS = 5


@dataclass(frozen=True)
class Overview:
    """facts: name -> text. classes: one line per class, with the counts of each split. warnings: sentences."""

    facts: dict[str, str]
    classes: list[dict[str, Any]]
    warnings: list[str]


def overview(task: Task) -> Overview:
    """Items, shapes, values, groups, splits, classes, and what should make one think."""
    sizes = {split: len(getattr(task, f"y_{split}")) for split in SPLITS}
    shape = " x ".join(map(str, task.input_shape))
    facts = {
        "task": f"{task.name}: {task.kind_name}, scored by {task.metric.label}",
        "items": f"{sum(sizes.values()):,} of shape {shape}: {task.preprocess.get('raw', '')}",
        "splits": ", ".join(f"{n:,} {split}" for split, n in sizes.items()),
        "groups": _groups(task),
        "values": _values(task),
        "targets": _targets(task),
        "source": task.source,
        "licence": task.licence,
    }
    warnings = [*task.notes, *_uneven(task), *_few(task), *_repeated(task)]
    return Overview({name: text for name, text in facts.items() if text}, _classes(task), warnings)


def _classes(task: Task) -> list[dict[str, Any]]:
    """Number, name, label in the data, items (or pixels) of each class in each split."""
    labels = {name: label for label, name in task.preprocess.get("classes", {}).items()}
    counts = {split: _counts(task, split) for split in SPLITS} if task.class_names else {}
    return [
        {"class": number, "name": name, "label": labels.get(name, name)} | {split: int(counts[split][number]) for split in SPLITS}
        for number, name in enumerate(task.class_names)
    ]


def _counts(task: Task, split: str) -> np.ndarray:
    return np.bincount(getattr(task, f"y_{split}").numpy().ravel(), minlength=len(task.class_names))


def _groups(task: Task) -> str:
    if not task.groups:
        return ""
    counts = {split: len(set(task.groups[split].tolist())) for split in SPLITS}
    return f"{sum(counts.values())}, none in two splits: {', '.join(f'{n} {split}' for split, n in counts.items())}"


def _values(task: Task) -> str:
    low, high, mean = float(task.x_train.min()), float(task.x_train.max()), float(task.x_train.mean())
    shown = mean if abs(mean) > 1e-4 * max(abs(low), abs(high)) else 0  # rounding leaves 1e-9 of a mean that was taken away
    return f"{low:.3g} to {high:.3g}, mean {shown:.3g} in train (after scale and offset)"


def _targets(task: Task) -> str:
    if not task.y_train.is_floating_point():
        return ""
    y = task.y_train
    text = f"{y.shape[1]} per item, {float(y.min()):.3g} to {float(y.max()):.3g} in train"
    scaled = task.preprocess.get("target")
    unit = f"; 1 is {', '.join(f'{scale:.4g}' for scale in scaled['scale'])} in the unit of the data" if scaled else ""
    return text + unit


def _uneven(task: Task) -> list[str]:
    """Where a constant answer scores well, and what to do about it."""
    if task.kind_name != "classification" or unevenness(task.y_test.numpy()) < UNEVEN:
        return []
    counts = _counts(task, "test")
    most, share = task.class_names[int(counts.argmax())], counts.max() / counts.sum()
    said = f"always answering {most!r} would score an accuracy of {share:.1%} on test"
    advice = {
        "accuracy": ": accuracy alone misleads; metric: balanced_accuracy or macro_f1 does not",
        "balanced_accuracy": f", but {1 / len(counts):.1%} of balanced accuracy",
    }.get(task.metric.name, "")
    weighted = "" if task.class_weights else "; class_weights: true lets rare classes count as much in training"
    return [said + advice + weighted]


def _few(task: Task) -> list[str]:
    lines = []
    if task.class_names and task.kind_name != "segmentation":
        counts = _counts(task, "test")
        rare = [f"{name} {n}" for name, n in zip(task.class_names, counts) if n < FEW_ITEMS]
        lines += [f"few test items, so that intervals are wide: {', '.join(rare[:8])}"] if rare else []
    n_groups = len(set(task.groups.get("test", np.array([])).tolist()))
    if task.groups and n_groups < FEW_GROUPS:
        lines.append(f"{n_groups} groups in test: the score speaks of these few, its interval of other items of theirs")
    return lines


def _repeated(task: Task) -> list[str]:
    """Test items that are also in train, value by value."""
    known = {row.tobytes() for row in task.x_train.numpy()}
    n = sum(row.tobytes() in known for row in task.x_test.numpy())
    return [f"{n} of {len(task.x_test)} test items are also in train, value by value: the test score is too good"] if n else []
