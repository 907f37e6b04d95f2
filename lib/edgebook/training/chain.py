"""Several techniques, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from edgebook.tasks.task import Task
from edgebook.training.store import cached

Step = tuple[Callable[..., nn.Module], dict[str, Any]]


def chain(model: nn.Module, task: Task, steps: Sequence[Step]) -> nn.Module:
    """The network after the steps (technique, its arguments), each found in the store or done once; without steps itself.

    Chains that begin alike share what they have in common. `seconds` is what all steps cost when they were done.
    """
    net, seconds = model, 0.0
    for technique, arguments in steps:
        net = cached(technique, net, task, **arguments)
        seconds += net.seconds
    if steps:
        net.seconds = seconds
    return net
