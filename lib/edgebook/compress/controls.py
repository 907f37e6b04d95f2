"""The control of every pruning: the same small shape, trained from nothing."""

from __future__ import annotations

import copy

from torch import nn

from edgebook.tasks import Task
from edgebook.training.loop import seed_all, train


def reinitialise(model: nn.Module, *, seed: int) -> nn.Module:
    """A copy with every weight drawn anew by each layer's own rule."""
    seed_all(seed)
    fresh = copy.deepcopy(model)
    for module in fresh.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return fresh


def train_from_scratch(model: nn.Module, task: Task, *, seed: int, **recipe) -> nn.Module:
    """The model's shape trained from new weights; `recipe` goes to `train`. Source: Liu et al. 2019, Rethinking pruning."""
    return train(reinitialise(model, seed=seed), task, seed=seed, **recipe)
