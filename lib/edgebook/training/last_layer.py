"""A network as features and a last layer, and steps of SGD on that layer alone."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from edgebook.errors import Unsupported
from edgebook.tasks.task import Task

N_COMPARED = 8  # items on which the two parts must give the outputs of the whole


def split(model: nn.Module, task: Task) -> tuple[nn.Module, nn.Linear]:
    """(a copy of the network that gives the inputs of its last layer, a copy of that layer). Raises Unsupported (code
    `structure`) for a network whose outputs are not those of a dense layer.
    """
    features, x = copy.deepcopy(model).cpu().eval(), task.x_train[:N_COMPARED]
    names = [name for name, module in features.named_modules() if isinstance(module, nn.Linear)]
    with torch.no_grad():
        whole = features(x)
        if names and isinstance(head := features.get_submodule(names[-1]), nn.Linear) and head.bias is not None:
            features.set_submodule(names[-1], nn.Identity())
            outputs = features(x)
            if outputs.shape[1:] == (head.in_features,) and torch.allclose(head(outputs), whole, atol=1e-4):
                return features, head
    raise Unsupported("its outputs are not those of a dense layer with a bias, the last one", code="structure")


def sgd(head: nn.Linear, task: Task, x: Tensor, y: Tensor, *, order: Tensor, rate: float) -> nn.Linear:
    """A copy of the layer after one step of plain SGD on the task's loss for each item of `order`, in that order.

    x: features (n, d). y: labels (n,). order: indices of items (steps,).
    """
    head = copy.deepcopy(head).requires_grad_()
    for item in order:
        part = x[item : item + 1]
        loss = task.kind.loss(head(part), part, y[item : item + 1], 0.0)
        gradients = torch.autograd.grad(loss, (head.weight, head.bias))
        with torch.no_grad():
            for parameter, gradient in zip((head.weight, head.bias), gradients, strict=True):
                parameter -= rate * gradient
    return head.requires_grad_(False)
