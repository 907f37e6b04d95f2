"""Which files can be given the items of a task: those of one input, of real values or of integers with a scale. numpy only."""

from __future__ import annotations

from typing import Any

import numpy as np


def why_not_fed(inputs: dict[str, Any], *, has_scale: bool, hint: str = "") -> str | None:
    """Why a file with these inputs (name -> dtype) runs on zeros and is not scored; None where it takes items.

    has_scale: whether the scale of an integer input is known; hint: where it could be.
    """
    if len(inputs) != 1:
        return f"it has {len(inputs)} inputs: {', '.join(inputs)}"
    ((name, dtype),) = inputs.items()
    if np.issubdtype(dtype, np.floating) or (np.issubdtype(dtype, np.integer) and has_scale):
        return None
    return f"its input {name} is {np.dtype(dtype).name}, not real values{hint if np.issubdtype(dtype, np.integer) else ''}"


def nothing(x: np.ndarray) -> None:
    """What `put` is for a file that runs on zeros."""
