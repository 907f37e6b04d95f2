"""The outputs behind a row's score, from the .npz that the row names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgebook.errors import BadInput


def outputs(run_dir: Path, row: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """(outputs float32 (n, n_outputs), labels (n,)) of the test items that the file was scored on."""
    if not row["samples"]:
        raise BadInput(f"row {row['row_id']} has no samples: {row['error'] or row['status']}")
    with np.load(Path(run_dir) / row["samples"]) as arrays:
        items = arrays[f"{row['row_id']}.items"]
        return arrays[f"{row['row_id']}.outputs"].astype(np.float32), arrays["labels"][items]


def items(run_dir: Path, row: dict[str, Any]) -> np.ndarray:
    """Which test items the file was scored on, (n,)."""
    with np.load(Path(run_dir) / row["samples"]) as arrays:
        return arrays[f"{row['row_id']}.items"]


def confusion_counts(run_dir: Path, row: dict[str, Any]) -> np.ndarray:
    """How often each class (rows) was taken for each (columns), counts (n_outputs, n_outputs)."""
    found, labels = outputs(run_dir, row)
    counts = np.zeros((found.shape[1],) * 2, int)
    np.add.at(counts, (labels, found.argmax(1)), 1)
    return counts
