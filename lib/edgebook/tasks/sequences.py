"""Long tables: one row per item and time -> one sequence per item."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgebook.errors import BadInput
from edgebook.tasks.description import Description
from edgebook.tasks.items import Items, check_memory


def from_rows(rows: Items, item: np.ndarray, time: np.ndarray, description: Description, where: str) -> Items:
    """The rows of each item in the order of their times, x (items, columns, length); items in the order of their first row.

    length: that of the description, else that of most items; longer ones are cut, shorter ones are broken, and so are those
    with a broken row, with a time twice, with two labels, groups or splits.
    """
    if time.dtype.kind not in "iuf":
        raise BadInput(f"{where}: column {description.time!r} holds {time[0]!r:.40}; allowed: numbers to order by")
    _, first, number = np.unique(item, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))  # items by their first row
    order = np.lexsort((time, rank[number]))
    owner, counts = rank[number][order], np.bincount(rank[number])
    length = description.length or int(np.bincount(counts).argmax())
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    broken = _broken(rows, time[order], order, owner, counts, length)
    shape = (len(counts), rows.x.shape[1], length)
    check_memory(shape, where)
    x = np.zeros(shape, np.float32)
    for n, (start, count) in enumerate(zip(starts, counts)):
        x[n, :, : min(count, length)] = rows.x[order[start : start + min(count, length)]].T
    heads, names = order[starts], item[order[starts]]
    n_cut = int((counts > length).sum())
    return replace(
        rows,
        x=x,
        labels=rows.labels[heads],
        place=lambda n: f"item {names[n]}",
        groups=None if rows.groups is None else rows.groups[heads],
        splits=None if rows.splits is None else rows.splits[heads],
        broken=broken,
        notes=(f"{n_cut} items are cut to {length} rows",) if n_cut else (),
    )


def _broken(
    rows: Items, time: np.ndarray, order: np.ndarray, owner: np.ndarray, counts: np.ndarray, length: int
) -> dict[int, str]:
    """Number of an item -> what is wrong with it. time, order, owner: of the rows, sorted by item and time."""
    broken = {int(n): f"has {counts[n]} rows where {length} are needed" for n in np.flatnonzero(counts < length)}
    same_item = owner[1:] == owner[:-1]
    for number in np.flatnonzero(same_item & (time[1:] == time[:-1])):
        broken.setdefault(int(owner[number]), f"has two rows with the time {time[number]}")
    for what, values in (("labels", rows.labels), ("groups", rows.groups), ("splits", rows.splits)):
        if values is None or values.ndim > 1:
            continue
        ordered = values[order]
        for number in np.flatnonzero(same_item & (ordered[1:] != ordered[:-1])):
            broken.setdefault(int(owner[number]), f"has two {what}: {ordered[number]} and {ordered[number + 1]}")
    place = {int(row): int(n) for row, n in zip(order, owner)} if rows.broken else {}
    for row, reason in rows.broken.items():
        broken.setdefault(place[row], f"{reason} in {rows.place(row)}")
    return broken
