"""Data sets: each module has one function that returns a Task; TASKS names them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from edgebook.errors import pick


@dataclass(frozen=True)
class Task:
    """Data in memory, split once: fit on train, choose on val, report on test.

    x_* are float32 (n, *input_shape), y_* are int64 (n,).
    """

    name: str
    x_train: torch.Tensor
    y_train: torch.Tensor
    x_val: torch.Tensor
    y_val: torch.Tensor
    x_test: torch.Tensor
    y_test: torch.Tensor
    class_names: tuple[str, ...]
    kind: str = "classification"
    augment: Callable[[torch.Tensor, torch.Generator], torch.Tensor] | None = None
    preprocess: dict = field(default_factory=dict)  # raw -> x as data (scale, offset), so that it can travel with a file
    licence: str = "unknown"
    source: str = "unknown"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """One item's shape, without the batch: (C, H, W) for images, (C, T) for sequences."""
        return tuple(self.x_train.shape[1:])

    @property
    def n_outputs(self) -> int:
        return len(self.class_names)

    @property
    def fingerprint(self) -> str:
        """sha256 over all six tensors: two tasks with the same data have the same one."""
        if "_fingerprint" not in self.__dict__:
            digest = hashlib.sha256()
            for tensor in (self.x_train, self.y_train, self.x_val, self.y_val, self.x_test, self.y_test):
                digest.update(str(tuple(tensor.shape)).encode())
                digest.update(tensor.contiguous().numpy().tobytes())
            object.__setattr__(self, "_fingerprint", digest.hexdigest())
        return self.__dict__["_fingerprint"]


def load_task(name: str) -> Task:
    """The Task called `name` in TASKS, or made of the user's own data when `name` is a path that ends in .npz.

    Splits are fixed: the same items at every call, whatever the run's seed; global random generators stay as they were.
    Raises BadInput for an unknown name, for a file that cannot be used, or for data that are not on this machine.
    """
    if str(name).lower().endswith(".npz"):
        return npz.npz(name)
    return pick(TASKS, name, "task")()


# at the bottom: these modules need Task
from edgebook.tasks import digits, fashion_mnist, mnist1d, npz

TASKS = {"digits": digits.digits, "fashion_mnist": fashion_mnist.fashion_mnist, "mnist1d": mnist1d.mnist1d}
