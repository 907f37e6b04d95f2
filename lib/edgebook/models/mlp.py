"""A multi-layer perceptron over the flattened input."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import nn

from edgebook.models.layers import positive_ints


class Shortcut(nn.Module):
    """x + ReLU(linear(x))."""

    def __init__(self, width: int):
        super().__init__()
        self.linear, self.relu = nn.Linear(width, width), nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.relu(self.linear(x))


class MLP(nn.Module):
    """Linear + ReLU for each hidden width, then a linear layer; `shortcut`: around each one that keeps its width."""

    def __init__(self, n_inputs: int, n_outputs: int, hidden: tuple[int, ...], shortcut: bool):
        super().__init__()
        layers: list[nn.Module] = []
        for n_in, n_out in zip((n_inputs, *hidden), hidden, strict=False):
            layers += [Shortcut(n_in)] if shortcut and layers and n_in == n_out else [nn.Linear(n_in, n_out), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear((n_inputs, *hidden)[-1], n_outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (N, *input_shape) -> (N, n_outputs)
        return self.layers(x.flatten(1))


def mlp(input_shape: Sequence[int], n_outputs: int, *, hidden: Sequence[int] = (100, 100), shortcut: bool = False) -> nn.Module:
    """An MLP for any input shape; 15,210 parameters at (1, 40) and 10 classes.

    hidden: units of each hidden layer; empty gives logistic regression. shortcut: around each hidden layer behind the first
    that keeps its width, as MNIST-1D's own MLP has it (Greydanus and Kobak, arXiv 2011.14439).
    """
    return MLP(prod(input_shape), n_outputs, positive_ints("mlp", "hidden", hidden), bool(shortcut))
