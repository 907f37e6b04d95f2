"""SqueezeNet 1.1: fire modules. Parameter names are torchvision's, so its weights load."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from edgebook.models.layers import as_image, is_small, positive_number, probability

# (squeeze, expand) of each fire module; None is a max-pool
FIRES = (None, (16, 64), (16, 64), None, (32, 128), (32, 128), None, (48, 192), (48, 192), (64, 256), (64, 256))


class Fire(nn.Module):
    """Squeeze by 1x1, expand by 1x1 and by 3x3 side by side."""

    def __init__(self, c_in: int, squeeze: int, expand: int):
        super().__init__()
        self.squeeze = nn.Conv2d(c_in, squeeze, 1)
        self.squeeze_activation = nn.ReLU()
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand1x1_activation = nn.ReLU()
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)
        self.expand3x3_activation = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.squeeze_activation(self.squeeze(x))
        wide = self.expand3x3_activation(self.expand3x3(x))
        return torch.cat([self.expand1x1_activation(self.expand1x1(x)), wide], 1)


class SqueezeNet(nn.Module):
    """A stem, eight fire modules between max-pools, and a 1x1 convolution averaged over the image."""

    def __init__(self, channels: int, n_outputs: int, width: float, small: bool, dropout: float):
        super().__init__()
        c_in = _scaled(64, width)
        # unpadded and strided as published; small images keep their size
        stem = nn.Conv2d(channels, c_in, 3, padding=1) if small else nn.Conv2d(channels, c_in, 3, stride=2)
        layers: list[nn.Module] = [stem, nn.ReLU()]
        for fire in FIRES:
            if fire is None:
                # no padding and no ceil_mode: both would write -inf into an integer file's ranges; at 224 x 224, the
                # published size, ceil_mode changes nothing
                layers.append(nn.MaxPool2d(2) if small else nn.MaxPool2d(3, 2))
            else:
                squeeze, expand = (_scaled(c, width) for c in fire)
                layers.append(Fire(c_in, squeeze, expand))
                c_in = 2 * expand
        self.features = nn.Sequential(*layers)
        final = nn.Conv2d(c_in, n_outputs, 1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), final, nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.apply(_initialise)
        nn.init.normal_(final.weight, std=0.01)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (N, C, H, W) -> (N, n_outputs)
        return self.classifier(self.features(x)).flatten(1)


def squeezenet(
    input_shape: Sequence[int],
    n_outputs: int,
    *,
    width: float = 1.0,
    small: bool | None = None,
    dropout: float = 0.5,
) -> nn.Module:
    """SqueezeNet 1.1; 1,235,496 parameters at (3, 224, 224) and 1,000 classes, state dict as torchvision's.

    width: multiplies every channel count. small: the stem neither strides nor shrinks, and pools are 2 x 2, for images
    such as 28 x 28 (None: where a side is below 64 pixels); it changes no parameter's shape.
    Raises BadInput for an input that is no image, or too small for the strides.
    Source: Iandola et al., arXiv 1602.07360, and the authors' release of 1.1.
    """
    width = positive_number("squeezenet", "width", width)
    _, height, across = as_image("squeezenet", input_shape)
    small = is_small("squeezenet", small, height, across)
    channels, _, _ = as_image("squeezenet", input_shape, at_least=8 if small else 31)
    return SqueezeNet(channels, n_outputs, width, small, probability("squeezenet", "dropout", dropout))


def _scaled(channels: int, width: float) -> int:
    return max(1, round(channels * width))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_uniform_(module.weight)
        nn.init.zeros_(module.bias)
