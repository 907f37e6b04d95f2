"""A small U-Net: one class per pixel."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from edgebook.errors import BadInput
from edgebook.models.layers import as_image, conv_bn, positive_ints


class UNet(nn.Module):
    """Convolutions at each scale on the way down, upsampling and concatenation on the way up, then a 1x1 convolution."""

    def __init__(self, c_in: int, n_outputs: int, widths: tuple[int, ...]):
        super().__init__()
        self.down = nn.ModuleList(_double(a, b) for a, b in zip((c_in, *widths), widths))
        self.pool = nn.MaxPool2d(2)
        self.enlarge = nn.Upsample(scale_factor=2, mode="nearest")
        rising = widths[::-1]
        self.up = nn.ModuleList(_double(a + b, b) for a, b in pairwise(rising))
        self.head = nn.Conv2d(widths[0], n_outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (N, C, H, W) -> (N, n_outputs, H, W)
        skipped: list[torch.Tensor] = []
        for number, block in enumerate(self.down):
            x = block(self.pool(x) if number else x)
            skipped.append(x)
        for number, block in enumerate(self.up):
            x = block(torch.cat([self.enlarge(x), skipped[-2 - number]], 1))
        return self.head(x)


def _double(c_in: int, c_out: int) -> nn.Sequential:
    return nn.Sequential(conv_bn(c_in, c_out), conv_bn(c_out, c_out))


def unet(input_shape: Sequence[int], n_outputs: int, *, widths: Sequence[int] = (8, 16, 32)) -> nn.Module:
    """A U-Net with batch norm and "same" padding; 29,795 parameters at (1, 16, 16) and 3 classes.

    widths: channels at each scale, the first at full size; upsampling repeats the nearest pixel. Raises BadInput for an input
    that is no image or whose sides the pools do not divide.
    Source: Ronneberger, Fischer and Brox 2015, U-Net, arXiv 1505.04597.
    """
    sizes = positive_ints("unet", "widths", widths)
    channels, height, width = as_image("unet", input_shape)
    factor = 2 ** (len(sizes) - 1)
    if height % factor or width % factor:
        raise BadInput(f"model unet does not fit input_shape {tuple(input_shape)}; allowed: sides that {factor} divides")
    return UNet(channels, n_outputs, sizes)
