"""Data sets: one file each, with one function that returns a Task, named in TASKS; the user's own by the form of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebook.naming import is_path
from edgebook.registry import pick

if TYPE_CHECKING:
    from edgebook.tasks.task import Task

TASKS = {
    "diabetes": "edgebook.tasks.diabetes:diabetes",
    "digits": "edgebook.tasks.digits:digits",
    "fashion_mnist": "edgebook.tasks.fashion_mnist:fashion_mnist",
    "mnist1d": "edgebook.tasks.mnist1d:mnist1d",
    "shapes": "edgebook.tasks.shapes:shapes",
    "vibration": "edgebook.tasks.vibration:vibration",
}

SHIFTS = {
    "noise": "edgebook.tasks.shifts:noise",
    "rotation": "edgebook.tasks.shifts:rotation",
    "sensor": "edgebook.tasks.shifts:sensor",
}


def load_task(name: str) -> Task:
    """The Task called `name` in TASKS, or made of the user's own data when `name` is a path: see `formats`.

    Splits are fixed: the same items at every call, whatever the run's seed; global random generators stay as they were.
    Raises BadInput for an unknown name, for data that cannot be used, or that are not on this machine.
    """
    if is_path(name):
        from edgebook.tasks.formats import load_path

        return load_path(name)
    return pick(TASKS, name, "task")()
