"""Small CNNs for the integer kernels of edge runtimes, on images and on sequences."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from edgebook.errors import BadInput
from edgebook.models.layers import positive_ints

KERNEL = 3  # of every layer but the first
LAYERS = {2: (nn.Conv1d, nn.BatchNorm1d), 3: (nn.Conv2d, nn.BatchNorm2d)}  # by the dimensions of an item
POOLS = {2: F.adaptive_avg_pool1d, 3: F.adaptive_avg_pool2d}


class ResidualBlock(nn.Module):
    """One convolution beside the identity: ReLU(x + batch norm(conv(x)))."""

    def __init__(self, dims: int, width: int):
        super().__init__()
        self.conv = _conv(dims, width, width, KERNEL, activation=False)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(x + self.conv(x))


class EdgeCNN(nn.Module):
    """Convolutions, global average pooling, one dense layer."""

    def __init__(self, dims: int, layers: list[nn.Module], n_features: int, n_outputs: int):
        super().__init__()
        self.pool = POOLS[dims]  # decided here: tracers do not follow what depends on an input's shape
        self.features = nn.Sequential(*layers)
        self.linear = nn.Linear(n_features, n_outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (N, C, H, W) or (N, C, T) -> (N, n_outputs)
        return self.linear(self.pool(self.features(x), 1).flatten(1))


def edge_cnn(
    input_shape: Sequence[int],
    n_outputs: int,
    *,
    widths: Sequence[int] = (8, 16, 24, 32),
    strides: Sequence[int] = (2, 1, 2, 1),
    block: str = "plain",
    kernel: int = 3,
) -> nn.Module:
    """A few narrow layers with a stride in the first one, for images and for sequences; 12,082 parameters at (1, 28, 28) and 10
    classes.

    widths, strides: channels and stride of each layer, equally many; widths are multiples of 8, since integer kernels compute
    that many channels at a time. kernel: of the first layer, 3 or 5. block: plain (a 3x3 convolution, or of 3 steps of a
    sequence), separable (depthwise 3x3, then 1x1) or residual (plain, beside the identity where a layer keeps its shape); the
    first layer is always plain. Layers with stride 1 keep the size of the input. Layers with a stride do not pad: in LiteRT
    files, padding that is not the same on all sides is an operator of its own. Raises BadInput for an input that is neither an
    image nor a sequence or that is too small, or a wrong argument.
    """
    shape = tuple(input_shape)
    if (dims := len(shape)) not in LAYERS:
        raise BadInput(f"model edge_cnn does not fit input_shape {shape}; allowed: (channels, height, width), (channels, time)")
    widths, strides = _checked(widths, strides, block, kernel)
    side, sizes = min(shape[1:]), (kernel, *[KERNEL] * (len(widths) - 1))
    for size, stride in zip(sizes, strides, strict=True):
        side = side if stride == 1 else (side - size) // stride + 1
        if side < 1:
            raise BadInput(f"model edge_cnn does not fit input_shape {shape}: strides {strides} leave nothing of it")
    layers = [_conv(dims, shape[0], widths[0], kernel, stride=strides[0])]
    for c_in, c_out, stride in zip(widths, widths[1:], strides[1:]):
        layers.append(BLOCKS[block](dims, c_in, c_out, stride))
    return EdgeCNN(dims, layers, widths[-1], n_outputs)


def _checked(widths, strides, block: str, kernel: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Widths and strides as tuples."""
    widths = positive_ints("edge_cnn", "widths", widths)
    if not widths or any(width % 8 for width in widths):
        raise BadInput(f"model edge_cnn: widths = {list(widths)}; allowed: at least one, multiples of 8")
    strides = positive_ints("edge_cnn", "strides", strides, n=len(widths))
    if block not in BLOCKS:
        raise BadInput(f"model edge_cnn: block = {block!r}; allowed: {', '.join(BLOCKS)}")
    if kernel not in (3, 5):
        raise BadInput(f"model edge_cnn: kernel = {kernel!r}; allowed: 3, 5")
    return widths, strides


def _conv(
    dims: int, c_in: int, c_out: int, kernel: int, *, stride: int = 1, groups: int = 1, activation: bool = True
) -> nn.Sequential:
    """Convolution, batch norm and ReLU; padded to the same size, unless it has a stride."""
    conv, norm = LAYERS[dims]
    padding = kernel // 2 if stride == 1 else 0
    layer = conv(c_in, c_out, kernel, stride=stride, padding=padding, groups=groups, bias=False)
    return nn.Sequential(layer, norm(c_out), *([nn.ReLU()] if activation else []))


def _plain(dims: int, c_in: int, c_out: int, stride: int) -> nn.Module:
    return _conv(dims, c_in, c_out, KERNEL, stride=stride)


def _separable(dims: int, c_in: int, c_out: int, stride: int) -> nn.Module:
    return nn.Sequential(_conv(dims, c_in, c_in, KERNEL, stride=stride, groups=c_in), _conv(dims, c_in, c_out, 1))


def _residual(dims: int, c_in: int, c_out: int, stride: int) -> nn.Module:
    return ResidualBlock(dims, c_out) if stride == 1 and c_in == c_out else _plain(dims, c_in, c_out, stride)


BLOCKS = {"plain": _plain, "residual": _residual, "separable": _separable}
