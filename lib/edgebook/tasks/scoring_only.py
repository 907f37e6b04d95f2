"""Data for files that others have trained: test items are enough, and they stay as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from edgebook.errors import BadInput
from edgebook.naming import is_path, task_label
from edgebook.tasks import load_task
from edgebook.tasks.assemble import assemble
from edgebook.tasks.description import Description, describe
from edgebook.tasks.items import Items, without_broken
from edgebook.tasks.kinds import KINDS
from edgebook.tasks.labels import MOST_CLASSES, TARGETS, Targets, kind_of
from edgebook.tasks.npz import as_images, class_names, from_arrays, labels_of, read_arrays, values
from edgebook.tasks.task import Task

NEEDED, BESIDE = {"x_test", "y_test"}, {"class_names"}


def load_for_scoring(name: str) -> Task:
    """The Task called `name`. An .npz file may hold x_test and y_test alone, and then the Task has test items only; its values
    are given to the files as they are, whatever they are. Raises BadInput as `load_task` does.
    """
    path = Path(name).expanduser()
    if not is_path(name) or path.suffix.lower() != ".npz" or not path.is_file():
        return load_task(name)
    arrays = read_arrays(path)
    if NEEDED <= arrays.keys() <= NEEDED | BESIDE:
        return _test_only(name, path, arrays)
    description = describe(name, standardize=False)
    return assemble(from_arrays(path, arrays, description), description, name, str(path), standardize=False)


def _test_only(name: str, path: Path, arrays: dict[str, np.ndarray]) -> Task:
    (x,), notes = as_images([values(path, "x_test", arrays)])
    labels, described = labels_of(path, "y_test", arrays, len(x)), Description(str(path))
    items = Items(x, labels, lambda number: f"x_test[{number}]", "items as in the file", class_names=class_names(path, arrays))
    items = without_broken(items, described.broken, str(path))
    kind = kind_of(items, described, str(path))
    targets = (
        _classes(items, path) if KINDS[kind].targets == "classes" else TARGETS[KINDS[kind].targets](items, described, str(path))
    )
    x, y = torch.from_numpy(items.x), torch.from_numpy(targets.y)
    none = x[:0], y[:0]
    return Task(task_label(name), *none, *none, x, y, targets.class_names, kind, source=str(path), notes=notes)


def _classes(items: Items, path: Path) -> Targets:
    """Class numbers as they are: a class without a test item leaves its number free."""
    labels, names = items.labels, items.class_names
    if labels.ndim != 1 or labels.dtype.kind not in "iub":
        raise BadInput(f"{path}: y_test has dtype {labels.dtype}, shape {labels.shape}; allowed: the number of each item's class")
    if labels.max() < MOST_CLASSES:
        names = names or tuple(str(number) for number in range(int(labels.max()) + 1))
    if labels.min() < 0 or labels.max() >= len(names):
        raise BadInput(
            f"{path}: y_test has labels {labels.min()} to {labels.max()}; allowed: 0..{(len(names) or MOST_CLASSES) - 1}"
        )
    return Targets(labels.astype(np.int64), names, names)
