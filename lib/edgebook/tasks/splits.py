"""Fixed splits: the same items whatever the run's seed, so that every run chooses on the same validation set."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from edgebook.errors import BadInput
from edgebook.tasks.task import SPLITS, draw_items

SPLIT_NAMES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val"}
SPLIT_NAMES |= {"test": "test", "testing": "test"}  # what data call a split -> its name
SPLIT_SEED = 20260101  # not the run's: seeds would otherwise compare models on different items
MOST_VALIDATION = 5000  # items that are held out where nothing says otherwise
N_STRATA = 5  # parts of equal size that values are cut into, so that groups are drawn evenly over them


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
    x: Tensor, y: Tensor, *, fraction: float = 0.1, at_most: int = MOST_VALIDATION
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x_train, y_train, x_val, y_val: `fraction` of the items (one at least, `at_most`) held out, order kept."""
    mask = stratified_mask(y, max(1, min(at_most, round(len(y) * fraction))))
    return x[~mask], y[~mask], x[mask], y[mask]


def group_mask(y: Tensor, groups: np.ndarray, share: float) -> Tensor:
    """A bool mask (len(y),) with about `share` of the items set: whole groups, with the targets spread as evenly as they allow.

    Source: scikit-learn, StratifiedGroupKFold; the first of its folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    n_folds = int(np.clip(round(1 / share), 2, len(np.unique(groups))))
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=SPLIT_SEED)
    chosen = next(iter(folds.split(np.zeros(len(y)), _strata(y), groups)))[1]
    mask = torch.zeros(len(y), dtype=torch.bool)
    mask[torch.from_numpy(chosen)] = True
    return mask


def carve(y: Tensor, share: float, *, groups: np.ndarray | None = None, at_most: int | None = None) -> Tensor:
    """The items to hold out, bool (len(y),): a share of them, or whole groups. One item, or one group, stays in any case."""
    if groups is not None:
        return group_mask(y, groups, share)
    n = min(max(1, round(len(y) * share)), len(y) - 1, len(y) if at_most is None else at_most)
    return stratified_mask(y, n)


def check_groups(splits: np.ndarray, groups: np.ndarray, where: str) -> None:
    """Raises BadInput for a group that is in two splits, which would test on what was trained on. splits: texts (n,)."""
    order = np.argsort(groups, kind="stable")
    ordered, parts = groups[order], splits[order]
    shared = np.flatnonzero((ordered[1:] == ordered[:-1]) & (parts[1:] != parts[:-1]))
    if len(shared):
        first = shared[0]
        given = f"group {ordered[first]!s} is in {parts[first]} and in {parts[first + 1]}"
        raise BadInput(f"{where}: {given}; allowed: each group in one of {', '.join(SPLITS)}")


def _strata(y: Tensor) -> np.ndarray:
    """Classes as they are; values by the part of equal size that they lie in."""
    if not y.is_floating_point() and y.ndim == 1:
        return y.numpy()
    order = y.flatten(1).double().mean(1).numpy() if y.ndim > 1 else y.numpy()
    return np.argsort(np.argsort(order)) * N_STRATA // len(order)
