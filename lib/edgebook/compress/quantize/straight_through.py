"""Training through a rounding: what several techniques share."""

from __future__ import annotations

import copy

from torch import Tensor, nn
from torch.nn.utils import parametrize

from edgebook.tasks import Task
from edgebook.training.finetune import finetune


class Rounded(nn.Module):
    """A weight as `levels(w)` has it, its gradient passed through as if nothing had been rounded (Bengio et al. 2013)."""

    def __init__(self, levels):
        super().__init__()
        self.levels = levels

    def forward(self, w: Tensor) -> Tensor:
        rounded = self.levels(w.detach().cpu()).to(w.device)  # some levels need what not every device has
        return w + (rounded - w.detach())


def train_rounded(
    model: nn.Module, task: Task, *, levels: dict, teacher: nn.Module | None = None, soft_weight: float = 0.0, **recipe
) -> nn.Module:  # fmt: skip
    """A trained copy whose weights named in `levels` (name -> function of a tensor) are rounded at every step and baked in
    at the end, so that they lie on their levels exactly. `teacher`, `soft_weight` and `recipe` go to `finetune`; validation
    sees the rounded weights.
    """
    net = copy.deepcopy(model)
    for name, function in levels.items():
        layer, _, weight = name.rpartition(".")
        parametrize.register_parametrization(net.get_submodule(layer), weight, Rounded(function))
    net = finetune(net, task, teacher=teacher, soft_weight=soft_weight, **recipe)
    for name, function in levels.items():
        layer, _, weight = name.rpartition(".")
        parametrize.remove_parametrizations(net.get_submodule(layer), weight, leave_parametrized=False)
        parameter = net.get_parameter(name)
        parameter.data = function(parameter.data)  # exactly: what was trained, w + (q - w), is q up to float rounding
    return net
