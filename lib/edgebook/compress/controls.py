"""Controls: the same small network, trained from new weights."""

from __future__ import annotations

import copy

from torch import nn

from edgebook.errors import Unsupported
from edgebook.tasks.task import Task
from edgebook.training.loop import seed_all, train
from edgebook.training.recipe import Recipe


def reinitialise(model: nn.Module, *, seed: int) -> nn.Module:
    """A copy with every weight drawn anew by its layer's `reset_parameters`, PyTorch's convention.

    Raises Unsupported for a module that has parameters and no such rule: it would keep what it has learned.
    """
    seed_all(seed)
    fresh = copy.deepcopy(model)
    for name, module in fresh.named_modules():
        if reset := getattr(module, "reset_parameters", None):
            reset()
        elif list(module.parameters(recurse=False)):
            kind = type(module).__name__
            raise Unsupported(f"{name or kind}: {kind} has parameters and no reset_parameters()", code="structure")
    return fresh


def train_from_scratch(model: nn.Module, task: Task, recipe: Recipe) -> nn.Module:
    """The model's shape trained from new weights, drawn by the recipe's seed. Raises Unsupported as `reinitialise` does.

    Source: Liu et al. 2019, Rethinking the value of network pruning.
    """
    return train(reinitialise(model, seed=recipe.seed), task, recipe)
