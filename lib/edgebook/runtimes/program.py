"""A loaded file: what every runtime's load side gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Program:
    """A loaded file: `put` an input (1, ...) in place, `invoke` (the runtime's call, which is timed), `get` the output.

    A file that takes an item in several calls does all but the last of them in `put`: `calls` is their number. One that cannot be
    given items, since it has other inputs, runs on zeros: `put` does nothing, and `not_scored` says why.
    """

    put: Callable[[np.ndarray], None]
    invoke: Callable[[], Any]
    get: Callable[[], np.ndarray]
    input_shape: tuple[int, ...]  # of one item
    any_batch: bool = False  # `put` takes any number of items
    batch: int = 1  # items per call, unless any_batch
    outputs: dict[str, Callable[[], np.ndarray]] = field(default_factory=dict)  # name -> `get`, where a file has several
    calls: int = 1  # of the runtime for one item
    not_scored: str | None = None
    input_range: tuple[float, float] | None = None  # of the real values that an integer input holds

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Float outputs (n, ...) for float inputs (n, ...)."""
        if self.any_batch:
            return self._call(x)
        n, lacking = len(x), -len(x) % self.batch
        x = np.concatenate([x, np.zeros((lacking, *x.shape[1:]), x.dtype)]) if lacking else x
        return np.concatenate([self._call(x[i : i + self.batch]) for i in range(0, len(x), self.batch)])[:n]

    def _call(self, x: np.ndarray) -> np.ndarray:
        self.put(x)
        self.invoke()
        y = np.array(self.get(), dtype=np.float32)
        return y if y.shape[:1] == x.shape[:1] else y.reshape(len(x), -1)  # some files give no batch dimension
