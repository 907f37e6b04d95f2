"""Fixed splits: the same items whatever the run's seed, so that every run chooses on the same validation set."""

from __future__ import annotations

import torch
from torch import Tensor

from edgebook.tasks.task import draw_items

SPLIT_SEED = 20260101  # not the run's: seeds would otherwise compare models on different items


def stratified_mask(y: Tensor, n: int, *, seed: int = SPLIT_SEED) -> Tensor:
    """A bool mask (len(y),) with exactly `n` items set, spread evenly over the targets.

    Items are taken in equal steps through the targets in order, random among equal ones: each class gets its share of `n` give
    or take one, and values are covered from the smallest to the largest. Items with several targets, such as pixels, are
    ordered by their mean.
    """
    order = y if y.ndim == 1 else y.flatten(1).double().mean(1)
    shuffled = draw_items(len(y), len(y), seed)
    by_target = shuffled[torch.argsort(order[shuffled], stable=True)]
    evenly = ((torch.arange(n) + 0.5) * (len(y) / n)).long()
    mask = torch.zeros(len(y), dtype=torch.bool)
    mask[by_target[evenly]] = True
    return mask


def split_validation(
    x: Tensor, y: Tensor, *, fraction: float = 0.1, at_most: int = 5000
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x_train, y_train, x_val, y_val: `fraction` of the items (one at least, `at_most`) held out, order kept."""
    mask = stratified_mask(y, max(1, min(at_most, round(len(y) * fraction))))
    return x[~mask], y[~mask], x[mask], y[mask]
