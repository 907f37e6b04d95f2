"""A dense autoencoder, for anomaly detection by reconstruction."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import torch
from torch import nn

from edgebook.errors import BadInput
from edgebook.models.layers import positive_ints


class Autoencoder(nn.Module):
    """Linear, batch norm and ReLU for each width, down to the bottleneck and up again, then a linear layer."""

    def __init__(self, n_inputs: int, widths: tuple[int, ...], bottleneck: int):
        super().__init__()
        layers: list[nn.Module] = []
        sizes = (n_inputs, *widths, bottleneck, *reversed(widths))
        for n_in, n_out in pairwise(sizes):
            layers += [nn.Linear(n_in, n_out, bias=False), nn.BatchNorm1d(n_out), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.linear = nn.Linear(sizes[-1], n_inputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (N, *input_shape) -> (N, n_inputs)
        return self.linear(self.layers(x.flatten(1)))


def autoencoder(
    input_shape: Sequence[int], n_outputs: int, *, widths: Sequence[int] = (128, 128, 128, 128), bottleneck: int = 8
) -> nn.Module:
    """A dense autoencoder for any input shape; its outputs are flat, (N, n_outputs).

    widths: units of the layers before the bottleneck, mirrored behind it; the defaults are those of MLPerf Tiny's anomaly
    detection. Raises BadInput unless n_outputs is the number of inputs.
    Source: Banbury et al. 2021, MLPerf Tiny Benchmark, arXiv 2106.07597; Koizumi et al. 2020, DCASE 2020 challenge task 2.
    """
    if n_outputs != prod(input_shape):
        raise BadInput(
            f"model autoencoder: {n_outputs} outputs for input_shape {tuple(input_shape)}; allowed: {prod(input_shape)}"
        )
    sizes = positive_ints("autoencoder", "widths", widths)
    (units,) = positive_ints("autoencoder", "bottleneck", bottleneck, n=1)
    return Autoencoder(n_outputs, sizes, units)
