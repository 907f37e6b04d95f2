"""Training by ExecuTorch's own extension: a program with forward and backward pass, and its SGD."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgebook.runtimes.quiet import quiet
from edgebook.runtimes.train_step import Layer, Lesson, Trained


class Loss(nn.Module):
    """The softmax loss of a dense layer for one item."""

    def __init__(self, layer: Layer):
        super().__init__()
        self.linear = nn.Linear(layer.weight.shape[1], len(layer.bias))
        self.linear.weight.data = torch.tensor(layer.weight)
        self.linear.bias.data = torch.tensor(layer.bias)

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        return -(F.log_softmax(self.linear(x), dim=1) * target).sum()


def train(layer: Layer, lesson: Lesson, folder: Path) -> Trained:
    """See `runtimes.train_step`."""
    from executorch.exir import to_edge
    from executorch.extension.training import _load_for_executorch_for_training, get_sgd_optimizer
    from torch.export.experimental import _export_forward_backward

    x, targets = torch.tensor(lesson.x), torch.eye(len(layer.bias))
    file = folder / "train_step.pte"
    with quiet():
        program = _export_forward_backward(torch.export.export(Loss(layer), (x[:1], targets[:1]), strict=True))
        file.write_bytes(to_edge(program).to_executorch().buffer)
        module, optimizer = _load_for_executorch_for_training(str(file)), None
        for item in lesson.order:
            module.forward_backward("forward", (x[item : item + 1], targets[lesson.y[item]][None]))
            optimizer = optimizer or get_sgd_optimizer(module.named_parameters(), lesson.rate)
            optimizer.step(module.named_gradients())
    trained = {name: parameter.detach().clone().numpy() for name, parameter in module.named_parameters().items()}
    return Trained(Layer(trained["linear.weight"], trained["linear.bias"]), file.stat().st_size)
