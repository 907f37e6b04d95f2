"""Data sets: one file each, with one function that returns a Task. TASKS names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

FORMATS = {".npz": "edgebook.tasks.npz:npz"}  # the user's own data, by the extension of the path


def load_task(name: str) -> Task:
    """The Task called `name` in TASKS, or made of the user's own data when `name` is a path with an extension in FORMATS.

    Splits are fixed: the same items at every call, whatever the run's seed; global random generators stay as they were.
    Raises BadInput for an unknown name, for a file that cannot be used, or for data that are not on this machine.
    """
    for extension in FORMATS:
        if str(name).lower().endswith(extension):
            return pick(FORMATS, extension, "format")(name)
    return pick(TASKS, name, "task")()
