"""A network built from a genotype: the members of the search space, in two dimensions or in one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from edgebook.models.genotype import Block, Genotype, check, final_sides, from_plain, parse

EXPANSION = 3  # of an inverted residual; MobileNetV2 has 6, which is costly at 8 to 32 channels
SQUEEZE = 4  # a fire block squeezes to a quarter of its width, and to 4 channels at least: fewer die easily
CONV = {1: nn.Conv1d, 2: nn.Conv2d}
NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d}
POOL = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d}


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
        dims, c_in = len(input_shape) - 1, input_shape[0]
        layers = []
        for block in (genotype.stem, *genotype.blocks):
            layers.append(_block(dims, c_in, block))
            c_in = block.width
        self.features = nn.Sequential(*layers)
        pooled = genotype.head == "pool"
        self.pool = POOL[dims](1) if pooled else nn.Identity()
        self.linear = nn.Linear(c_in * (1 if pooled else math.prod(final_sides(genotype, input_shape))), n_outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (N, C, H, W) or (N, C, T) -> (N, n_outputs)
        return self.linear(self.pool(self.features(x)).flatten(1))


def searched(input_shape: Sequence[int], n_outputs: int, *, genotype: str | dict[str, Any]) -> nn.Module:
    """The CNN of a genotype, given as its line of text or as plain data; see `edgebook.models.genotype`.

    Every convolution has batch norm behind it and no bias. Raises BadInput with the reason for a genotype that cannot be
    read or does not fit the input. Sources of the blocks: MobileNets, arXiv 1704.04861; MobileNetV2, arXiv 1801.04381;
    SqueezeNet, arXiv 1602.07360.
    """
    layers = parse(genotype) if isinstance(genotype, str) else from_plain(genotype)
    check(layers, tuple(input_shape))
    return SearchedCNN(layers, tuple(input_shape), n_outputs)


def _block(dims: int, c_in: int, block: Block) -> nn.Module:
    body, activation = BODIES[block.kind]
    layers = body(dims, c_in, block)
    after = [nn.ReLU()] if activation else []
    return nn.Sequential(Skip(layers) if block.skip else layers, *after)


def _conv_bn(
    dims: int, c_in: int, c_out: int, kernel: int = 1, stride: int = 1, *, groups: int = 1, relu: bool = False
) -> nn.Sequential:
    conv = CONV[dims](c_in, c_out, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, NORM[dims](c_out), *([nn.ReLU()] if relu else []))


def _plain(dims: int, c_in: int, block: Block) -> nn.Module:
    return _conv_bn(dims, c_in, block.width, block.kernel, block.stride)


def _separable(dims: int, c_in: int, block: Block) -> nn.Module:
    depthwise = _conv_bn(dims, c_in, c_in, block.kernel, block.stride, groups=c_in, relu=True)
    return nn.Sequential(depthwise, _conv_bn(dims, c_in, block.width))


def _inverted_residual(dims: int, c_in: int, block: Block) -> nn.Module:
    inner = EXPANSION * c_in
    depthwise = _conv_bn(dims, inner, inner, block.kernel, block.stride, groups=inner, relu=True)
    return nn.Sequential(_conv_bn(dims, c_in, inner, relu=True), depthwise, _conv_bn(dims, inner, block.width))


def _fire(dims: int, c_in: int, block: Block) -> nn.Module:
    squeezed, half = max(4, block.width // SQUEEZE), block.width // 2
    expand1 = _conv_bn(dims, squeezed, half, 1, block.stride, relu=True)
    expand = _conv_bn(dims, squeezed, half, block.kernel, block.stride, relu=True)
    return Fire(_conv_bn(dims, c_in, squeezed, relu=True), expand1, expand)


BODIES = {  # kind -> its layers, and whether a ReLU follows them (and the skip's sum)
    "stem": (_plain, True),
    "plain": (_plain, True),
    "ds": (_separable, True),
    "ir": (_inverted_residual, False),
    "fire": (_fire, False),
}
