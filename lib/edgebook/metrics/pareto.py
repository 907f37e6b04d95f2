"""Which points no other beats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def pareto(points: np.ndarray, maximise: Sequence[bool]) -> np.ndarray:
    """Mask (n,) of the points (n, k) that no other beats: as good everywhere and better somewhere.

    `maximise` says for each of the k columns whether more is better. Equal points are kept or dropped together; a
    point with a NaN is never on the front and beats nothing.
    """
    points = np.asarray(points, float)
    if points.ndim != 2 or points.shape[1] != len(maximise):
        raise ValueError(f"shape {points.shape}: need (n, {len(maximise)}), a column for each of maximise={maximise}")
    gains = np.where(np.asarray(maximise, bool), points, -points)
    beaten = [((gains >= point).all(axis=1) & (gains > point).any(axis=1)).any() for point in gains]
    return ~np.array(beaten, bool) & ~np.isnan(gains).any(axis=1)


def first_on_front(points: np.ndarray, maximise: Sequence[bool]) -> list[int]:
    """Indices of those points, in order; of equal ones the first alone."""
    points, first = np.asarray(points, float), dict[tuple[float, ...], int]()
    for number in np.flatnonzero(pareto(points, maximise)):
        first.setdefault(tuple(points[number]), int(number))
    return list(first.values())
