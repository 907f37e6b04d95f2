"""A network built from a genotype: the members of the search space, for images or for sequences.

A sequence (C, T) runs as an image (C, 1, T): with Conv1d and BatchNorm1d, LiteRT's converter leaves batch norm as operators of
its own and turns the map before and behind every convolution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from edgebook.models.genotype import Block, Genotype, check, final_sides, from_plain, parse

EXPANSION = 3  # of an inverted residual; MobileNetV2 has 6, which is costly at 8 to 32 channels
DEFAULT = "stem 8k3s1 | ds 16k3s2 | ds 32k3s2 | pool"
SQUEEZE = 4  # a fire block squeezes to a quarter of its width, and to 4 channels at least: fewer die easily

Sides = tuple[int, int]  # height and width


class Skip(nn.Module):
    """Input + body(input)."""

    def __init__(self, body: nn.Module):
        super().__init__()
        self.body = body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


class Fire(nn.Module):
    """Squeeze by 1x1, then expand by 1x1 and by a wider kernel side by side."""

    def __init__(self, squeeze: nn.Module, expand1: nn.Module, expand: nn.Module):
        super().__init__()
        self.squeeze, self.expand1, self.expand = squeeze, expand1, expand

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.squeeze(x)
        return torch.cat([self.expand1(x), self.expand(x)], 1)


class SearchedCNN(nn.Module):
    """The stem and the blocks, the pooling where the head has one, and one dense layer."""

    def __init__(self, genotype: Genotype, input_shape: tuple[int, ...], n_outputs: int):
        super().__init__()
        c_in, layers = input_shape[0], []
        for block in (genotype.stem, *genotype.blocks):
            layers.append(_block(c_in, block, is_1d=len(input_shape) == 2))
            c_in = block.width
        self.features = nn.Sequential(*layers)
        pooled = genotype.head == "pool"
        self.pool = nn.AdaptiveAvgPool2d(1) if pooled else nn.Identity()
        self.linear = nn.Linear(c_in * (1 if pooled else math.prod(final_sides(genotype, input_shape))), n_outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (N, C, H, W) or (N, C, T) -> (N, n_outputs)
        image = x.unsqueeze(2) if x.ndim == 3 else x
        return self.linear(self.pool(self.features(image)).flatten(1))


def searched(input_shape: Sequence[int], n_outputs: int, *, genotype: str | dict[str, Any] = DEFAULT) -> nn.Module:
    """The CNN of a genotype, given as its line of text or as plain data; see `edgebook.models.genotype`.

    Every convolution has batch norm behind it and no bias. Raises BadInput with the reason for a genotype that cannot be
    read or does not fit the input. Sources of the blocks: MobileNets, arXiv 1704.04861; MobileNetV2, arXiv 1801.04381;
    SqueezeNet, arXiv 1602.07360.
    """
    layers = parse(genotype) if isinstance(genotype, str) else from_plain(genotype)
    check(layers, tuple(input_shape))
    return SearchedCNN(layers, tuple(input_shape), n_outputs)


def _block(c_in: int, block: Block, *, is_1d: bool) -> nn.Module:
    body, activation = BODIES[block.kind]
    sides = (1, block.kernel) if is_1d else (block.kernel, block.kernel)
    strides = (1, block.stride) if is_1d else (block.stride, block.stride)
    layers = body(c_in, block.width, sides, strides)
    after = [nn.ReLU()] if activation else []
    return nn.Sequential(Skip(layers) if block.skip else layers, *after)


def _conv_bn(
    c_in: int, c_out: int, kernel: Sides = (1, 1), stride: Sides = (1, 1), *, groups: int = 1, relu: bool = False
) -> nn.Sequential:
    padding = (kernel[0] // 2, kernel[1] // 2)
    conv = nn.Conv2d(c_in, c_out, kernel, stride=stride, padding=padding, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out), *([nn.ReLU()] if relu else []))


def _separable(c_in: int, width: int, kernel: Sides, stride: Sides) -> nn.Module:
    return nn.Sequential(_conv_bn(c_in, c_in, kernel, stride, groups=c_in, relu=True), _conv_bn(c_in, width))


def _inverted_residual(c_in: int, width: int, kernel: Sides, stride: Sides) -> nn.Module:
    inner = EXPANSION * c_in
    depthwise = _conv_bn(inner, inner, kernel, stride, groups=inner, relu=True)
    return nn.Sequential(_conv_bn(c_in, inner, relu=True), depthwise, _conv_bn(inner, width))


def _fire(c_in: int, width: int, kernel: Sides, stride: Sides) -> nn.Module:
    squeezed, half = max(4, width // SQUEEZE), width // 2
    expand1 = _conv_bn(squeezed, half, stride=stride, relu=True)
    expand = _conv_bn(squeezed, half, kernel, stride, relu=True)
    return Fire(_conv_bn(c_in, squeezed, relu=True), expand1, expand)


BODIES = {  # kind -> its layers, and whether a ReLU follows them (and the skip's sum)
    "stem": (_conv_bn, True),
    "plain": (_conv_bn, True),
    "ds": (_separable, True),
    "ir": (_inverted_residual, False),
    "fire": (_fire, False),
}
