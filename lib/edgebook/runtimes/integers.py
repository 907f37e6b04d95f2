"""Real values and the integers of a tensor, by its own scale and zero point; numpy only, for the load sides.

A tensor's `detail` is a dict with "dtype" and "quantization": (scale, zero_point), as LiteRT's interpreter gives it.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def to_stored(x: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    """Real values in the tensor's dtype: round(x / scale) + zero_point, clipped."""
    scale, zero_point = detail["quantization"]
    if not np.issubdtype(detail["dtype"], np.integer):
        return x.astype(detail["dtype"])
    limits = np.iinfo(detail["dtype"])
    return np.clip(np.round(x / scale) + zero_point, limits.min, limits.max).astype(detail["dtype"])


def real_range(detail: dict[str, Any]) -> tuple[float, float] | None:
    """The smallest and the largest real value that an integer tensor holds; None for other tensors."""
    if not np.issubdtype(detail["dtype"], np.integer):
        return None
    scale, zero_point = detail["quantization"]
    limits = np.iinfo(detail["dtype"])
    return float((limits.min - zero_point) * scale), float((limits.max - zero_point) * scale)


def to_real(q: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    """(q - zero_point) * scale for integer tensors; others as they are, such as class numbers, which have no scale."""
    scale, zero_point = detail["quantization"]
    return (q.astype(np.float32) - zero_point) * scale if np.issubdtype(q.dtype, np.integer) and scale else q
