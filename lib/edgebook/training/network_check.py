"""A network called once before it is trained: what it gives must be what the task's kind needs."""

from __future__ import annotations

import copy
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from edgebook.errors import BadInput, one_line
from edgebook.tasks.task import Task

N_ITEMS = 2


def check_network(model: nn.Module, task: Task) -> None:
    """Raises BadInput, one line, for a network that cannot be trained on the task: it cannot be copied or called, has nothing to
    train, or gives something else than finite numbers of the shape that the task's kind needs.
    """
    name, x = model.spec["model"], task.x_train[:N_ITEMS]
    try:
        net: Any = copy.deepcopy(model).eval()
    except Exception as error:  # what a module holds is the user's
        raise BadInput(f"model {name} cannot be copied: {one_line(error)}") from None
    if not any(parameter.requires_grad for parameter in net.parameters()):
        raise BadInput(f"model {name} has no parameters to train")
    if fixed := [parameter for parameter, values in net.named_parameters() if not values.is_leaf]:
        raise BadInput(f"model {name}: a copy of it cannot train {fixed[0]}; allowed: a plain nn.Module, not torch.jit's")
    try:
        with torch.enable_grad():
            outputs = net(x)
    except Exception as error:  # so is its forward
        raise BadInput(f"model {name} cannot be called with items of shape {task.input_shape}: {one_line(error)}") from None
    if reason := _misfit(outputs, task):
        raise BadInput(f"model {name} gives {reason}")


def _misfit(outputs: Any, task: Task) -> str | None:
    """What is wrong with the outputs of N_ITEMS items; None when they fit."""
    needed = task.kind.output_shape(task.input_shape, task.n_outputs)
    if not isinstance(outputs, Tensor):
        return f"a {type(outputs).__name__}{_inside(outputs)}; allowed: one tensor of shape (n, {', '.join(map(str, needed))})"
    shape, n_items = tuple(outputs.shape), min(N_ITEMS, len(task.x_train))
    flat = not task.kind.has_classes and outputs.ndim > 1 and prod(shape[1:]) == prod(needed)  # those kinds flatten them
    if shape != (n_items, *needed) and not (flat and shape[0] == n_items):
        return f"outputs of shape {shape} for {n_items} items; the task needs {(n_items, *needed)}"
    if not torch.isfinite(outputs).all():
        return "outputs that are not finite numbers"
    if not outputs.requires_grad:
        return "outputs that no parameter can learn from; allowed: a forward without no_grad() or detach()"
    return None


def _inside(outputs: Any) -> str:
    """What a container holds, in brackets; nothing for anything else."""
    if isinstance(outputs, dict):
        return f" ({', '.join(map(str, outputs))})"
    return f" ({len(outputs)} parts)" if isinstance(outputs, tuple | list) else ""
