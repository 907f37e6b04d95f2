"""Outputs of a file for the items of every split; of a slow one for a fixed part of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgebook.boards.worker import Worker
from edgebook.measure.measured import Measured
from edgebook.runtimes.base import Artifact, runtime

# orders of magnitude on one core of a host: they decide how many items are scored, and must not depend on the moment
MACS_PER_S = {"optimized": 1e11, "reference": 2e9}
ITEMS = ((20.0, 100), (5.0, 250), (0.5, 1000))  # expected ms per item above which so many items are scored
SUBSET_SEED = 0


@dataclass(frozen=True)
class Inputs:
    """The splits, also as .npy files in `folder`, which workers read."""

    splits: dict[str, np.ndarray]  # name -> float (n, ...)
    folder: Path

    def __post_init__(self) -> None:
        for split, x in self.splits.items():
            save(self.path(split), x)

    def path(self, split: str) -> Path:
        """The .npy file of a whole split."""
        return self.folder / f"{split}.npy"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one item; () without splits."""
        return next((x.shape[1:] for x in self.splits.values()), ())


def save(path: Path, x: np.ndarray) -> Path:
    """`path`, with x as float32 in it."""
    np.save(path, np.ascontiguousarray(x, dtype=np.float32))
    return path


def load(worker: Worker, result: Measured, inputs: Inputs) -> None:
    """Wait until the file is loaded, and fill in what that shows; memory first, since scoring maps the whole split into it.

    Raises ValueError for a file that does not take the items, or whose operators are random.
    """
    loaded, record = worker.ask(), runtime(result.artifact.runtime)
    shape, result.batch, result.preprocess = tuple(loaded["input_shape"]), loaded["batch"], tuple(loaded["preprocess"])
    result.transposed = any(is_transposed(shape, x.shape[1:]) for x in inputs.splits.values())
    worker.ask(do="warm", seconds=0.05)
    if record.has_memory:
        result.rss_bytes = worker.ask(do="memory")["rss_bytes"]
    told = worker.ask(do="inspect")
    result.inspected, result.input_range = told["inspected"], loaded["input_range"]
    if told["random"]:
        raise ValueError(told["random"])


def put_item(worker: Worker, result: Measured, inputs: Inputs, name: str) -> None:
    """Give a file that is only timed an item, as those that are scored have one. Files of this worker are called `name`."""
    for x in list(inputs.splits.values())[:1]:
        item_path, target = inputs.folder / f"{name}.item.npy", inputs.folder / f"{name}.output.npy"
        worker.ask(do="score", x=str(save(item_path, fed(x[:1], result))), y=str(target))


def score(worker: Worker, result: Measured, inputs: Inputs, name: str) -> None:
    """Fill in the outputs of every split. Raises ValueError for a file that gives outputs that are not finite."""
    for split, x in inputs.splits.items():
        result.items[split] = items = subset(len(x), most_items(result.artifact, result.inspected))
        source, target = inputs.path(split), inputs.folder / f"{name}.{split}.npy"
        if len(items) < len(x) or result.transposed:
            source = save(inputs.folder / f"{name}.{split}.x.npy", fed(x[items], result))
        worker.ask(do="score", x=str(source), y=str(target))
        result.outputs[split] = outputs = channels_first(np.load(target), result)
        if not np.isfinite(outputs).all():
            raise ValueError("the file gives outputs that are not finite numbers")
        result.clipped = max(result.clipped, share_outside(x[items], result.input_range))
        result.filled = min(result.filled, share_filled(x[items], result.input_range))


def fed(x: np.ndarray, result: Measured) -> np.ndarray:
    """Items as the file takes them: channels last where it does."""
    return np.moveaxis(x, 1, -1) if result.transposed else x


def channels_first(outputs: np.ndarray, result: Measured) -> np.ndarray:
    """Outputs as the task has them."""
    return np.moveaxis(outputs, -1, 1) if result.transposed and outputs.ndim > 2 else outputs


def share_outside(x: np.ndarray, ends: list[float] | None) -> float:
    """Share of the values that lie outside of what an integer input holds, by more than a hundredth of its width."""
    if not ends or not x.size:
        return 0.0
    room = (ends[1] - ends[0]) / 100
    return float(((x < ends[0] - room) | (x > ends[1] + room)).mean())


def share_filled(x: np.ndarray, ends: list[float] | None) -> float:
    """Share of what an integer input holds that the values span."""
    return float(np.ptp(np.clip(x, *ends)) / (ends[1] - ends[0])) if ends and x.size else 1.0


def most_items(artifact: Artifact, inspected: dict[str, Any]) -> int | None:
    """How many items of a split are scored, None for all: by the work of one item and the kernels that do it, never by a time
    that was measured. Where MACs are unknown, every byte of the file counts as one.
    """
    record = runtime(artifact.runtime)
    if record.scores_everything:
        return None
    macs = artifact.columns.get("macs") or inspected.get("macs") or artifact.size_bytes
    precision = artifact.precision or inspected.get("format")
    kernels = "reference" if precision in record.reference_kernels else "optimized"
    ms = macs / MACS_PER_S[kernels] * 1e3
    return next((most for limit, most in ITEMS if ms > limit), None)


def subset(n: int, most: int | None) -> np.ndarray:
    """Which of n items are scored, in order: the same ones every time, smaller subsets inside larger ones."""
    return np.sort(np.random.default_rng(SUBSET_SEED).permutation(n)[:most])


def is_transposed(shape: tuple[int, ...], item: tuple[int, ...]) -> bool:
    """Whether the file takes (H, W, C) where the task has (C, H, W). Raises ValueError when that does not fit either."""
    if shape == item:
        return False
    if len(item) > 1 and shape == (*item[1:], item[0]):
        return True
    raise ValueError(f"the file's input is {shape}, the task's {item}")
