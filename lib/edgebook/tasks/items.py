"""The user's items as a format's reader found them: before labels become targets and splits are made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import psutil

from edgebook.errors import BadInput

SHOWN = 3  # broken items that are named one by one
MEMORY_SHARE = 0.5  # of what is available, for all items


@dataclass(frozen=True)
class Items:
    """n items. x: float32 (n, ...). labels: (n,) texts or numbers, (n, k) values, or (n, H, W) classes of pixels.

    place: number of an item -> what users call it. raw: what the values of an item are. groups: (n,) texts. splits: (n,) texts
    train, val, test. broken: number of an item -> what is wrong with it. skipped: the same for what is no item any more.
    settings: how the values were made from files, as plain data. class_names: of labels that are numbers 0, 1, ... kind: of the
    task, where the data name it. notes: sentences to be said. seconds: duration of an item.
    """

    x: np.ndarray
    labels: np.ndarray
    place: Callable[[int], str]
    raw: str
    groups: np.ndarray | None = None
    splits: np.ndarray | None = None
    broken: dict[int, str] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    kind: str = ""
    seconds: float | None = None
    notes: tuple[str, ...] = ()
    is_raw: bool = False  # levels of 8 bits, which no network learns from as they are

    def only(self, mask: np.ndarray) -> Items:
        """The items of a mask (n,) or of ascending numbers; nothing is copied where all stay."""
        numbers = np.flatnonzero(mask) if mask.dtype == bool else mask
        if len(numbers) == len(self.x):
            return self
        place = self.place
        return replace(
            self,
            x=self.x[numbers],
            labels=self.labels[numbers],
            place=lambda number: place(int(numbers[number])),
            groups=None if self.groups is None else self.groups[numbers],
            splits=None if self.splits is None else self.splits[numbers],
            broken={},
        )


def without_broken(items: Items, broken: str, where: str) -> Items:
    """The items that can be used. Raises BadInput that names the first broken ones, unless `broken` is "skip".

    Broken are those that the reader found so, and those with a value that is NaN or infinite.
    """
    reasons = dict(items.broken)
    for number in np.flatnonzero(~finite(items.x)):
        reasons.setdefault(int(number), "has a value that is NaN or infinite as float32")
    if not reasons:
        return items
    lines = [f"{items.place(number)} {reason}" for number, reason in sorted(reasons.items())]
    check_broken(lines, broken, where)
    mask = np.ones(len(items.x), bool)
    mask[list(reasons)] = False
    return replace(items.only(mask), skipped=(*items.skipped, *lines))


def check_broken(lines: Sequence[str], broken: str, where: str) -> None:
    """Raises BadInput that names the first of the broken items, unless `broken` is "skip"."""
    if lines and broken != "skip":
        others = f", and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
        raise BadInput(f"{where}: {'; '.join(lines[:SHOWN])}{others}; allowed: items without fault, or broken: skip")


def finite(x: np.ndarray) -> np.ndarray:
    """Which items have finite values only, bool (n,): in parts, since a mask of all values is as large as a quarter of them."""
    flat = x.reshape(len(x), -1)
    parts = np.array_split(flat, max(1, flat.nbytes // 2**27))
    return np.concatenate([np.isfinite(part).all(1) for part in parts])


def check_memory(shape: Sequence[int], where: str) -> None:
    """Raises BadInput when float32 items of this shape, (n, ...), do not fit into memory."""
    needed, allowed = 4 * int(np.prod(shape, dtype=object)), int(psutil.virtual_memory().available * MEMORY_SHARE)
    if needed > allowed:
        text = " x ".join(map(str, shape))
        raise BadInput(f"{where}: {text} values take {needed / 1e9:.1f} GB; allowed: {allowed / 1e9:.1f} GB on this machine")
