"""Generated C files: compiled here and called, for their outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgebook.runtimes import one_step
from edgebook.runtimes.base import Program
from edgebook.runtimes.c import host
from edgebook.runtimes.c.ends import Ends
from edgebook.runtimes.integers import to_real, to_stored


def preload() -> None:
    """Nothing: the file is its own runtime."""


def load(path: Path, *, threads: int = 1, shape: tuple[int, ...] = ()) -> Program:
    """The file's program, on one thread whatever `threads` is. Raises BadInput for C that `edgebook` has not generated."""
    compiled, step = host.compiled(path.read_text(encoding="utf-8")), one_step.description(path)
    ends, slot = compiled.ends, dict[str, np.ndarray]()

    def put(x: np.ndarray) -> None:
        slot["x"] = integer_steps(x, path, ends)

    def invoke() -> None:
        slot["y"] = np.stack([compiled.run(item)[-1] for item in slot["x"]])

    def get() -> np.ndarray:
        return to_real(slot["y"].reshape(-1, *ends.output_shape), ends.output_detail)

    return Program(put, invoke, get, tuple(step["input_shape"]) if step else ends.input_shape, any_batch=True)


def integer_steps(x: np.ndarray, path: Path, ends: Ends) -> np.ndarray:
    """Items (n, ...) as the network of a file takes them: int8 (n, steps, size); one step unless it is recurrent.

    path: the file, whose sidecar tells whether it holds one step.
    """
    steps = one_step.to_steps(x).swapaxes(0, 1) if one_step.description(path) else x[:, None]  # (n, steps, ...)
    return to_stored(steps, ends.input_detail).reshape(*steps.shape[:2], -1)
