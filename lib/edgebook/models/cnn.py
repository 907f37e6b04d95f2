"""Two small plain CNNs, one for images and one for sequences."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from edgebook.errors import BadInput
from edgebook.models.layers import as_image, positive_ints


class LightweightCNN(nn.Module):
    """Conv 3x3, ReLU, conv 3x3, ReLU, 2x2 max-pool, dense, ReLU, dense."""

    def __init__(self, input_shape: tuple[int, int, int], n_outputs: int, widths: tuple[int, int], hidden: int):
        super().__init__()
        channels, height, width = input_shape
        self.conv1 = nn.Conv2d(channels, widths[0], 3)
        self.conv2 = nn.Conv2d(widths[0], widths[1], 3)
        self.pool = nn.MaxPool2d(2)
        self.dense = nn.Linear(widths[1] * ((height - 4) // 2) * ((width - 4) // 2), hidden)
        self.linear = nn.Linear(hidden, n_outputs)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (N, C, H, W) -> (N, n_outputs)
        x = self.relu(self.conv1(x))
        x = self.pool(self.relu(self.conv2(x)))
        return self.linear(self.relu(self.dense(x.flatten(1))))


class Conv1dNet(nn.Module):
    """Strided 1-D convolutions with ReLU, then one dense layer over all that is left."""

    def __init__(self, input_shape: tuple[int, int], n_outputs: int, widths: tuple[int, ...], kernels: tuple[int, ...]):
        super().__init__()
        c_in, steps = input_shape
        layers: list[nn.Module] = []
        for c_out, kernel in zip(widths, kernels, strict=True):
            layers += [nn.Conv1d(c_in, c_out, kernel, stride=2, padding=1), nn.ReLU()]
            c_in, steps = c_out, _steps_after(steps, kernel)
        self.features = nn.Sequential(*layers)
        self.linear = nn.Linear(c_in * steps, n_outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (N, C, T) -> (N, n_outputs)
        return self.linear(self.features(x).flatten(1))


def lightweight_cnn(
    input_shape: Sequence[int], n_outputs: int, *, widths: Sequence[int] = (32, 64), hidden: int = 128
) -> nn.Module:
    """The classic small Keras CNN without its dropout; 1,199,882 parameters at (1, 28, 28) and 10 classes.

    widths: channels of the two convolutions; hidden: units of the dense layer.
    Raises BadInput for an input that is no image or below 6 x 6 pixels. Source: the Keras example mnist_cnn.
    """
    shape = as_image("lightweight_cnn", input_shape, at_least=6)
    pair = positive_ints("lightweight_cnn", "widths", widths, n=2)
    (units,) = positive_ints("lightweight_cnn", "hidden", hidden, n=1)
    return LightweightCNN(shape, n_outputs, pair, units)


def conv1d(
    input_shape: Sequence[int],
    n_outputs: int,
    *,
    widths: Sequence[int] = (25, 25, 25),
    kernels: Sequence[int] = (5, 3, 3),
) -> nn.Module:
    """The CNN of MNIST-1D (stride 2, padding 1); 5,210 parameters at (1, 40) and 10 classes.

    widths, kernels: channels and kernel length of each convolution, equally many.
    Raises BadInput for an input that is no sequence or too short. Source: Greydanus and Kobak, arXiv 2011.14439.
    """
    channels = positive_ints("conv1d", "widths", widths)
    lengths = positive_ints("conv1d", "kernels", kernels, n=len(channels))
    shape = tuple(input_shape)
    if len(shape) != 2:
        raise BadInput(f"model conv1d does not fit input_shape {shape}; allowed: (channels, time)")
    steps = shape[1]
    for length in lengths:
        steps = _steps_after(steps, length)
        if steps < 1:
            raise BadInput(f"model conv1d: {shape[1]} time steps are too few for kernels {lengths}; allowed: more steps")
    return Conv1dNet(shape, n_outputs, channels, lengths)


def _steps_after(steps: int, kernel: int) -> int:
    return (steps + 2 - kernel) // 2 + 1
