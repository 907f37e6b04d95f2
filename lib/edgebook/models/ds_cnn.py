"""DS-CNN, the keyword spotting network of MLPerf Tiny: depthwise-separable convolutions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from edgebook.models.layers import as_image, conv_bn, positive_ints


class DSCNN(nn.Module):
    """A stem convolution, depthwise-separable blocks of one width, global average pooling, one dense layer."""

    def __init__(self, channels: int, n_outputs: int, width: int, n_blocks: int, kernel: tuple[int, int], stride: int):
        super().__init__()
        self.stem = conv_bn(channels, width, kernel, stride=stride)
        self.blocks = nn.Sequential(*(_separable(width) for _ in range(n_blocks)))
        self.linear = nn.Linear(width, n_outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (N, C, H, W) -> (N, n_outputs)
        x = self.blocks(self.stem(x))
        return self.linear(F.adaptive_avg_pool2d(x, 1).flatten(1))


def ds_cnn(
    input_shape: Sequence[int],
    n_outputs: int,
    *,
    width: int = 64,
    n_blocks: int = 4,
    stem_kernel: Sequence[int] = (3, 3),
    stem_stride: int | None = None,
) -> nn.Module:
    """MLPerf Tiny's DS-CNN for images: its 64 channels and 4 blocks behind a 3x3 stem; 21,066 parameters at
    (1, 28, 28) and 10 classes.

    For spectrograms take the published stem, `stem_kernel=(10, 4), stem_stride=2`: 23,180 parameters at (1, 49, 10)
    and 12 classes; the reference's 24,908 also count batch norm's running statistics (1,152) and the convolution
    biases that batch norm makes redundant (576). Its dropout is left out. stem_stride None: 2, or 1 where a side is
    below 16 pixels. Raises BadInput for an input that is no image or below 2 x 2 pixels.
    Source: Zhang et al., Hello Edge, arXiv 1711.07128; Banbury et al., MLPerf Tiny Benchmark, arXiv 2106.07597.
    """
    kernel = positive_ints("ds_cnn", "stem_kernel", stem_kernel, n=2)
    channels, height, across = as_image("ds_cnn", input_shape, at_least=2)
    stride = (1 if min(height, across) < 16 else 2) if stem_stride is None else stem_stride
    (stride,) = positive_ints("ds_cnn", "stem_stride", stride, n=1)
    (width,) = positive_ints("ds_cnn", "width", width, n=1)
    (n_blocks,) = positive_ints("ds_cnn", "n_blocks", n_blocks, n=1)
    return DSCNN(channels, n_outputs, width, n_blocks, kernel, stride)


def _separable(width: int) -> nn.Sequential:
    return nn.Sequential(conv_bn(width, width, 3, groups=width), conv_bn(width, width, 1))
