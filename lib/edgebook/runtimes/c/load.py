"""Generated C files: compiled here and called, for their outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgebook.runtimes import one_step
from edgebook.runtimes.base import Program
from edgebook.runtimes.c import host
from edgebook.runtimes.integers import to_real, to_stored


def preload() -> None:
    """Nothing: the file is its own runtime."""


def load(path: Path, *, threads: int = 1, shape: tuple[int, ...] = ()) -> Program:
    """The file's program, on one thread whatever `threads` is. Raises BadInput for C that `edgebook` has not generated."""
    compiled, step = host.compiled(path.read_text(encoding="utf-8")), one_step.description(path)
    ends, slot = compiled.ends, dict[str, np.ndarray]()

    def put(x: np.ndarray) -> None:
        steps = one_step.to_steps(x).swapaxes(0, 1) if step else x[:, None]  # (n, steps, features)
        slot["x"] = to_stored(steps, ends.input_detail)

    def invoke() -> None:
        x = slot["x"]
        slot["y"] = np.stack([compiled.run(item)[-1] for item in x]) if step else compiled.run(x)

    def get() -> np.ndarray:
        return to_real(slot["y"].reshape(-1, *ends.output_shape), ends.output_detail)

    return Program(put, invoke, get, tuple(step["input_shape"]) if step else ends.input_shape, any_batch=True)
