"""ResNet8, the image classification network of MLPerf Tiny."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from edgebook.models.layers import as_image, conv_bn, positive_ints


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut: the input itself, or a 1x1 convolution where the shape changes."""

    def __init__(self, c_in: int, c_out: int, stride: int):
        super().__init__()
        self.conv1 = conv_bn(c_in, c_out, stride=stride)
        self.conv2 = conv_bn(c_out, c_out, activation=None)
        changes = stride != 1 or c_in != c_out
        # a bias and no batch norm, as in MLPerf Tiny's reference
        self.shortcut = nn.Conv2d(c_in, c_out, 1, stride=stride) if changes else nn.Identity()
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.conv2(self.conv1(x)) + self.shortcut(x))


class ResNet8(nn.Module):
    """A stem and three blocks; the second and the third halve the image."""

    def __init__(self, channels: int, n_outputs: int, widths: tuple[int, int, int]):
        super().__init__()
        first, second, third = widths
        self.stem = conv_bn(channels, first)
        self.blocks = nn.Sequential(Block(first, first, 1), Block(first, second, 2), Block(second, third, 2))
        self.linear = nn.Linear(third, n_outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (N, C, H, W) -> (N, n_outputs)
        x = self.blocks(self.stem(x))
        # not x.mean((2, 3)): that costs a transpose and keeps one operator off the NPU
        return self.linear(F.adaptive_avg_pool2d(x, 1).flatten(1))


def resnet8(input_shape: Sequence[int], n_outputs: int, *, widths: Sequence[int] = (16, 32, 64)) -> nn.Module:
    """MLPerf Tiny's ResNet; 77,946 parameters at (3, 32, 32) and 10 classes.

    The reference's 78,666 also count batch norm's running statistics (480) and the convolution biases that batch
    norm makes redundant (240). widths: channels of the stem with the first block, of the second, of the third.
    Raises BadInput for an input that is no image. Source: Banbury et al., MLPerf Tiny Benchmark, arXiv 2106.07597.
    """
    channels, _, _ = as_image("resnet8", input_shape)
    return ResNet8(channels, n_outputs, positive_ints("resnet8", "widths", widths, n=3))
