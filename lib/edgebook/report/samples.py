"""What lies behind a row's score, from the .npz that the row names: targets, predictions and item scores of the test items."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgebook.errors import BadInput
from edgebook.rows import Row

# what NumPy and zipfile raise for a file that is gone, lacks an array or is damaged
DAMAGED = (OSError, KeyError, ValueError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Samples:
    """The scored test items of one file. items: their numbers in the split, (n,); the others (n, ...), in that order."""

    items: np.ndarray
    targets: np.ndarray
    predictions: np.ndarray
    item_scores: np.ndarray


def samples(run_dir: Path, row: Row) -> Samples:
    """The samples of a row. Raises BadInput for a row without them, or when its file is gone or lacks its arrays."""
    if not row["samples"]:
        raise BadInput(f"row {row['row_id']} has no samples: {row['error'] or row['status']}")
    path = Path(run_dir) / row["samples"]
    try:
        with np.load(path) as arrays:
            items, predictions, scores = (arrays[f"{row['row_id']}.{name}"] for name in ("items", "predictions", "item_scores"))
            return Samples(items, arrays["targets"][items], predictions, scores)
    except DAMAGED as error:
        raise BadInput(f"{path}: no samples of row {row['row_id']} ({type(error).__name__})") from None


def confusion_counts(run_dir: Path, row: Row) -> np.ndarray:
    """How often each class (rows) was predicted as each (columns), counts (n_classes, n_classes).

    Raises BadInput where the predictions are no classes.
    """
    behind = samples(run_dir, row)
    if not all(np.issubdtype(array.dtype, np.integer) for array in (behind.targets, behind.predictions)):
        raise BadInput(f"row {row['row_id']}: its predictions are no classes ({behind.predictions.dtype})")
    targets, predictions = behind.targets.ravel(), behind.predictions.ravel()
    counts = np.zeros((int(max(targets.max(), predictions.max())) + 1,) * 2, int)
    np.add.at(counts, (targets, predictions), 1)
    return counts
