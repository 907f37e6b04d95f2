"""MobileNetV2: inverted residuals with linear bottlenecks. Parameter names are torchvision's, so its weights load."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from edgebook.models.layers import as_image, conv_bn, is_small, make_divisible, positive_number, probability

# the paper's table 2: expansion, channels, blocks, stride of the first block
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


class InvertedResidual(nn.Module):
    """Expand by 1x1, filter depthwise by 3x3, project by 1x1 without an activation; add the input where it fits."""

    def __init__(self, c_in: int, c_out: int, stride: int, expansion: int):
        super().__init__()
        inner = c_in * expansion
        expand = [conv_bn(c_in, inner, 1, activation=nn.ReLU6)] if expansion != 1 else []
        depthwise = conv_bn(inner, inner, 3, stride=stride, groups=inner, activation=nn.ReLU6)
        self.conv = nn.Sequential(*expand, depthwise, *conv_bn(inner, c_out, 1, activation=None))
        self.residual = stride == 1 and c_in == c_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2(nn.Module):
    """Stem, 17 inverted residuals, a 1x1 convolution, global average pooling, dropout and one dense layer."""

    def __init__(self, channels: int, n_outputs: int, width: float, small: bool, dropout: float):
        super().__init__()
        c_in, last = make_divisible(32 * width), make_divisible(1280 * max(1.0, width))
        layers: list[nn.Module] = [conv_bn(channels, c_in, 3, stride=1 if small else 2, activation=nn.ReLU6)]
        for expansion, c, n_blocks, stride in STAGES:
            c_out = make_divisible(c * width)
            for i in range(n_blocks):
                layers.append(InvertedResidual(c_in, c_out, stride if i == 0 else 1, expansion))
                c_in = c_out
        layers.append(conv_bn(c_in, last, 1, activation=nn.ReLU6))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(last, n_outputs))
        self.apply(_initialise)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (N, C, H, W) -> (N, n_outputs)
        return self.classifier(F.adaptive_avg_pool2d(self.features(x), 1).flatten(1))


def mobilenet_v2(
    input_shape: Sequence[int],
    n_outputs: int,
    *,
    width: float = 1.0,
    small: bool | None = None,
    dropout: float = 0.2,
) -> nn.Module:
    """MobileNetV2; 3,504,872 parameters at (3, 224, 224) and 1,000 classes, state dict as torchvision's.

    width: multiplies every channel count (then a multiple of 8). small: the stem does not stride, for images such as
    28 x 28 (None: where a side is below 64 pixels); it changes no parameter's shape.
    Raises BadInput for an input that is no image. Source: Sandler et al., arXiv 1801.04381.
    """
    channels, height, across = as_image("mobilenet_v2", input_shape)
    small = is_small("mobilenet_v2", small, height, across)
    width = positive_number("mobilenet_v2", "width", width)
    return MobileNetV2(channels, n_outputs, width, small, probability("mobilenet_v2", "dropout", dropout))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
        nn.init.zeros_(module.bias)
