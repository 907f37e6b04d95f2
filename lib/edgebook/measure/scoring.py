"""Outputs of a file for the items of every split; of a slow one for a fixed part of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
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
class Layout:
    """How a file takes the task's items, (n, C, ...). said: what is to be known beside the score."""

    said: str | None
    of: Callable[[np.ndarray], np.ndarray]


LAYOUTS = {
    "as given": Layout(None, lambda x: x),
    "channels last": Layout("channels last: the task's items were transposed", lambda x: np.moveaxis(x, 1, -1)),
    "no channel": Layout("without an axis for the only channel", lambda x: x[:, 0]),
    "flat": Layout("flat: all values of an item in one row", lambda x: x.reshape(len(x), -1)),
}


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

    A file that does not take the items is not scored, but timed on zeros. Raises ValueError for one whose operators are random.
    """
    loaded, record = worker.ask(), runtime(result.artifact.runtime)
    result.batch, result.preprocess, result.calls = loaded["batch"], tuple(loaded["preprocess"]), loaded["calls"]
    _choose_layout(result, tuple(loaded["input_shape"]), loaded["not_scored"], inputs)
    worker.ask(do="warm", seconds=0.05)
    if record.has_memory:
        result.rss_bytes = worker.ask(do="memory")["rss_bytes"]
    told = worker.ask(do="inspect")
    result.inspected, result.input_range = told["inspected"], loaded["input_range"]
    if told["random"]:
        raise ValueError(told["random"])


def _choose_layout(result: Measured, shape: tuple[int, ...], not_scored: str | None, inputs: Inputs) -> None:
    """Fill in how the items reach a file whose input has this shape, or why they do not."""
    layout = layout_of(shape, inputs.shape) if inputs.splits else "as given"
    result.layout = layout or "as given"
    misfit = None if layout else f"the file's input is {shape}, the task's {inputs.shape}"
    result.not_scored = (not_scored or misfit) if inputs.splits else result.not_scored


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
        if len(items) < len(x) or result.layout != "as given":
            source = save(inputs.folder / f"{name}.{split}.x.npy", fed(x[items], result))
        worker.ask(do="score", x=str(source), y=str(target))
        result.outputs[split] = outputs = channels_first(np.load(target), result)
        if not np.isfinite(outputs).all():
            raise ValueError("the file gives outputs that are not finite numbers")
        result.clipped = max(result.clipped, share_outside(x[items], result.input_range))
        result.filled = min(result.filled, share_filled(x[items], result.input_range))


def fed(x: np.ndarray, result: Measured) -> np.ndarray:
    """Items as the file takes them."""
    return LAYOUTS[result.layout].of(x)


def channels_first(outputs: np.ndarray, result: Measured) -> np.ndarray:
    """Outputs as the task has them."""
    return np.moveaxis(outputs, -1, 1) if result.layout == "channels last" and outputs.ndim > 2 else outputs


def share_outside(x: np.ndarray, ends: list[float] | None) -> float:
    """Share of the values that lie outside of what an integer input holds, by more than a hundredth of its width."""
    if not ends or not x.size:
        return 0.0
    room = (ends[1] - ends[0]) / 100
    return float(((x < ends[0] - room) | (x > ends[1] + room)).mean())


def share_filled(x: np.ndarray, ends: list[float] | None) -> float:
    """Share of what an integer input holds that the values span."""
    return float(np.ptp(np.clip(x, ends[0], ends[1])) / (ends[1] - ends[0])) if ends and x.size else 1.0


def work(artifact: Artifact, inspected: dict[str, Any]) -> int:
    """MACs of one item; where they are unknown, every byte of the file counts as one."""
    return artifact.columns.get("macs") or inspected.get("macs") or artifact.size_bytes


def most_items(artifact: Artifact, inspected: dict[str, Any]) -> int | None:
    """How many items of a split are scored, None for all: by the work of one item and the kernels that do it, never by a time
    that was measured.
    """
    record = runtime(artifact.runtime)
    if record.scores_everything:
        return None
    macs = work(artifact, inspected)
    precision = artifact.precision or inspected.get("format")
    kernels = "reference" if precision in record.reference_kernels else "optimized"
    ms = macs / MACS_PER_S[kernels] * 1e3
    return next((most for limit, most in ITEMS if ms > limit), None)


def subset(n: int, most: int | None) -> np.ndarray:
    """Which of n items are scored, in order: the same ones every time, smaller subsets inside larger ones."""
    return np.sort(np.random.default_rng(SUBSET_SEED).permutation(n)[:most])


def layout_of(shape: tuple[int, ...], item: tuple[int, ...]) -> str | None:
    """The name in LAYOUTS of how items (C, ...) fit a file's input; None where they do not.

    A flat input fits one channel alone: of several, the order would be a guess.
    """
    has_one_channel = len(item) > 1 and item[0] == 1
    if shape == item:
        return "as given"
    if len(item) > 1 and shape == (*item[1:], item[0]):
        return "channels last"
    if has_one_channel and shape == item[1:]:
        return "no channel"
    return "flat" if has_one_channel and shape == (prod(item),) else None
