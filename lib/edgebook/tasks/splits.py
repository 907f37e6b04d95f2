"""Fixed splits: the same items whatever the run's seed, so that every run chooses on the same validation set."""

from __future__ import annotations

import torch

SPLIT_SEED = 20260101  # not the run's: seeds would otherwise compare models on different items


def stratified_mask(y: torch.Tensor, n: int, *, seed: int = SPLIT_SEED) -> torch.Tensor:
    """A bool mask (len(y),) with exactly `n` random items set, every class in its share of `y` give or take one."""
    shuffled = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    by_class = shuffled[torch.argsort(y[shuffled], stable=True)]
    evenly = ((torch.arange(n) + 0.5) * (len(y) / n)).long()  # equal steps through the classes take equal shares
    mask = torch.zeros(len(y), dtype=torch.bool)
    mask[by_class[evenly]] = True
    return mask


def split_validation(
    x: torch.Tensor, y: torch.Tensor, *, fraction: float = 0.1, at_most: int = 5000
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """x_train, y_train, x_val, y_val: `fraction` of the items (one at least, `at_most`) held out, order kept."""
    mask = stratified_mask(y, max(1, min(at_most, round(len(y) * fraction))))
    return x[~mask], y[~mask], x[mask], y[mask]
