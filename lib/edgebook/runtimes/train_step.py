"""Training on the device: steps of SGD on a dense last layer, each one item, by what a runtime offers for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgebook.registry import pick


@dataclass(frozen=True, eq=False)
class Layer:
    """A dense layer: weight (classes, features), bias (classes,), float32."""

    weight: np.ndarray
    bias: np.ndarray

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """(n, classes) for features (n, features)."""
        return x @ self.weight.T + self.bias


@dataclass(frozen=True, eq=False)
class Lesson:
    """What is learned: features (n, features), labels (n,), the items of the steps in order (steps,), and the step size."""

    x: np.ndarray
    y: np.ndarray
    order: np.ndarray
    rate: float


@dataclass(frozen=True, eq=False)
class Trained:
    """The layer after all steps, and the bytes of the file that made them."""

    layer: Layer
    size_bytes: int


Train = Callable[[Layer, Lesson, Path], Trained]


def train_on(runtime: str, layer: Layer, lesson: Lesson, folder: Path) -> Trained:
    """The layer trained by a runtime on the softmax loss; the file that makes a step is written to `folder`. Raises BadInput for
    a runtime that does not train.
    """
    train: Train = pick(TRAINERS, runtime, "runtime that trains")
    return train(layer, lesson, folder)


TRAINERS = {
    "c": "edgebook.runtimes.c.train_step:train",
    "executorch": "edgebook.runtimes.executorch.train_step:train",
    "litert": "edgebook.runtimes.litert.train_step:train",
}
