"""Functions of one int8 as tables of 256: float32 in between, as LiteRT's own tables are made."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgebook.runtimes.c.graph import Tensor

EVERY = np.arange(-128, 128, dtype=np.int32)


def table(name: str, source: Tensor, target: Tensor) -> tuple[int, ...]:
    """The 256 outputs of an operator in FUNCTIONS, from input -128 on. Halves are rounded away from zero."""
    scale_in, scale_out = np.float32(source.scale[0]), np.float32(target.scale[0])
    real = scale_in * (EVERY - source.zero_point).astype(np.float32)
    scaled = FUNCTIONS[name](real) * (np.float32(1) / scale_out)
    rounded = np.sign(scaled) * np.floor(np.abs(scaled) + np.float32(0.5))
    return tuple(int(q) for q in np.clip(rounded + target.zero_point, -128, 127))


def _logistic(x: np.ndarray) -> np.ndarray:
    return np.float32(1) / (np.float32(1) + np.exp(-x))


FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "LOGISTIC": _logistic,
    "TANH": np.tanh,
    "RELU": lambda x: np.maximum(x, np.float32(0)),
    "RELU6": lambda x: np.clip(x, np.float32(0), np.float32(6)),
    "QUANTIZE": lambda x: x,
}
