"""Training through a rounding: the gradient passes as if nothing had been rounded."""

from __future__ import annotations

import copy
from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.utils import parametrize

from edgebook.tasks.task import Task
from edgebook.training.finetune import finetune
from edgebook.training.recipe import Recipe

Rounding = Callable[[Tensor], Tensor]


class StraightThrough(nn.Module):
    """A weight as `rounding` has it, its gradient passed through unchanged. Source: Bengio et al. 2013."""

    def __init__(self, rounding: Rounding):
        super().__init__()
        self.rounding = rounding

    def forward(self, w: Tensor) -> Tensor:
        rounded = self.rounding(w.detach().cpu()).to(w.device)  # some roundings use operators that not every device has
        return w + (rounded - w.detach())


def train_rounded(
    model: nn.Module,
    task: Task,
    recipe: Recipe,
    *,
    rounding: dict[str, Rounding],
    teacher: nn.Module | None = None,
    soft_weight: float = 0.0,
) -> nn.Module:
    """A trained copy whose named weights are rounded at every step, and for good at the end, so that they lie on their levels
    exactly. Validation sees the rounded weights. `teacher` and `soft_weight`: as in `finetune`.
    """
    net = copy.deepcopy(model)
    for name, function in rounding.items():
        layer, _, weight = name.rpartition(".")
        parametrize.register_parametrization(net.get_submodule(layer), weight, StraightThrough(function))
    net = finetune(net, task, recipe, teacher=teacher, soft_weight=soft_weight)
    for name, function in rounding.items():
        layer, _, weight = name.rpartition(".")
        parametrize.remove_parametrizations(net.get_submodule(layer), weight, leave_parametrized=False)
        parameter = net.get_parameter(name)
        parameter.data = function(parameter.data)  # what was trained, w + (q - w), equals q up to float rounding only
    return net
