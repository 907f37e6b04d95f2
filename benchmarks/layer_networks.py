"""A small network for each layer that people use: what benchmarks/layers.py tries. (1, 8, 8) images or (1, 40) sequences."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

WIDTH = 8


class Image(nn.Module):
    """Two convolutions around a middle layer, then the mean over all pixels and a dense layer."""

    def __init__(self, middle: nn.Module, n_outputs: int, width: int = WIDTH, after: int = 2 * WIDTH):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.middle = middle
        self.last = nn.Sequential(nn.Conv2d(after, 2 * WIDTH, 3, padding=1), nn.ReLU())
        self.linear = nn.Linear(2 * WIDTH, n_outputs)

    def forward(self, x):
        return self.linear(self.last(self.middle(self.first(x))).mean((2, 3)))


class Concatenated(nn.Module):
    def __init__(self):
        super().__init__()
        self.narrow, self.wide = nn.Conv2d(WIDTH, WIDTH, 1), nn.Conv2d(WIDTH, WIDTH, 3, padding=1)

    def forward(self, x):
        return torch.cat([F.relu(self.narrow(x)), F.relu(self.wide(x))], 1)


class SqueezeExcite(nn.Module):
    def __init__(self):
        super().__init__()
        self.expand = nn.Conv2d(WIDTH, 2 * WIDTH, 1)
        self.squeeze, self.excite = nn.Conv2d(2 * WIDTH, 4, 1), nn.Conv2d(4, 2 * WIDTH, 1)

    def forward(self, x):
        x = F.relu(self.expand(x))
        return x * torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean((2, 3), keepdim=True)))))


class Shuffled(nn.Module):
    """Grouped convolutions with the channels shuffled between them, as in ShuffleNet."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(WIDTH, 2 * WIDTH, 1, groups=2), nn.Conv2d(2 * WIDTH, 2 * WIDTH, 1, groups=2)

    def forward(self, x):
        x = F.relu(self.first(x))
        n, channels, height, width = x.shape
        x = x.view(n, 2, channels // 2, height, width).transpose(1, 2).reshape(n, channels, height, width)
        return F.relu(self.second(x))


class Shared(nn.Module):
    """One convolution called twice."""

    def __init__(self):
        super().__init__()
        self.expand, self.twice = nn.Conv2d(WIDTH, 2 * WIDTH, 1), nn.Conv2d(2 * WIDTH, 2 * WIDTH, 3, padding=1)

    def forward(self, x):
        return F.relu(self.twice(F.relu(self.twice(self.expand(x)))))


class Attention(nn.Module):
    """Self-attention of the steps of a sequence."""

    def __init__(self, n_outputs: int):
        super().__init__()
        self.embed = nn.Conv1d(1, 16, 5, stride=4)
        self.attention, self.norm = nn.MultiheadAttention(16, 2, batch_first=True), nn.LayerNorm(16)
        self.linear = nn.Linear(16, n_outputs)

    def forward(self, x):
        x = self.embed(x).transpose(1, 2)
        x = self.norm(x + self.attention(x, x, x, need_weights=False)[0])
        return self.linear(x.mean(1))


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase], n_outputs: int, **settings):
        super().__init__()
        self.rnn = kind(4, 12, batch_first=True, **settings)
        self.linear = nn.Linear(24 if settings.get("bidirectional") else 12, n_outputs)

    def forward(self, x):
        return self.linear(self.rnn(x.reshape(len(x), 10, 4))[0][:, -1])


class Normalized(nn.Module):
    def __init__(self, norm: nn.Module):
        super().__init__()
        self.expand, self.norm = nn.Conv2d(WIDTH, 2 * WIDTH, 3, padding=1), norm

    def forward(self, x):
        return F.relu(self.norm(self.expand(x)))


def activated(activation: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(WIDTH, 2 * WIDTH, 3, padding=1), activation)


def image_residual(input_shape, n_outputs):
    from edgebook.models.resnet8 import resnet8

    return resnet8(input_shape, n_outputs)


def image_concatenated(input_shape, n_outputs):
    return Image(Concatenated(), n_outputs)


def image_squeeze_excite(input_shape, n_outputs):
    return Image(SqueezeExcite(), n_outputs)


def image_grouped(input_shape, n_outputs):
    return Image(nn.Sequential(nn.Conv2d(WIDTH, 2 * WIDTH, 3, padding=1, groups=4), nn.ReLU()), n_outputs)


def image_depthwise(input_shape, n_outputs):
    depthwise = nn.Conv2d(WIDTH, WIDTH, 3, padding=1, groups=WIDTH)
    return Image(nn.Sequential(depthwise, nn.ReLU(), nn.Conv2d(WIDTH, 2 * WIDTH, 1), nn.ReLU()), n_outputs)


def image_dilated(input_shape, n_outputs):
    return Image(nn.Sequential(nn.Conv2d(WIDTH, 2 * WIDTH, 3, padding=2, dilation=2), nn.ReLU()), n_outputs)


def image_transposed(input_shape, n_outputs):
    return Image(nn.Sequential(nn.ConvTranspose2d(WIDTH, 2 * WIDTH, 2, stride=2), nn.ReLU()), n_outputs)


def image_shuffled(input_shape, n_outputs):
    return Image(Shuffled(), n_outputs)


def image_shared(input_shape, n_outputs):
    return Image(Shared(), n_outputs)


def image_group_norm(input_shape, n_outputs):
    return Image(Normalized(nn.GroupNorm(4, 2 * WIDTH)), n_outputs)


def image_layer_norm(input_shape, n_outputs):
    return Image(Normalized(nn.LayerNorm([2 * WIDTH, 8, 8])), n_outputs)


def image_prelu(input_shape, n_outputs):
    return Image(activated(nn.PReLU(2 * WIDTH)), n_outputs)


def image_hardswish(input_shape, n_outputs):
    return Image(activated(nn.Hardswish()), n_outputs)


def image_silu(input_shape, n_outputs):
    return Image(activated(nn.SiLU()), n_outputs)


def image_gelu(input_shape, n_outputs):
    return Image(activated(nn.GELU()), n_outputs)


def image_dropout(input_shape, n_outputs):
    return Image(nn.Sequential(nn.Conv2d(WIDTH, 2 * WIDTH, 3, padding=1), nn.ReLU(), nn.Dropout(0.2)), n_outputs)


def sequence_attention(input_shape, n_outputs):
    return Attention(n_outputs)


def sequence_gru(input_shape, n_outputs):
    return Recurrent(nn.GRU, n_outputs)


def sequence_two_layers(input_shape, n_outputs):
    return Recurrent(nn.LSTM, n_outputs, num_layers=2)


def sequence_bidirectional(input_shape, n_outputs):
    return Recurrent(nn.GRU, n_outputs, bidirectional=True)


LAYERS = {
    "image_residual": "residual blocks (resnet8)",
    "image_concatenated": "concatenation",
    "image_squeeze_excite": "squeeze-and-excite",
    "image_grouped": "grouped convolution",
    "image_depthwise": "depthwise convolution",
    "image_dilated": "dilated convolution",
    "image_transposed": "transposed convolution",
    "image_shuffled": "channel shuffle",
    "image_shared": "a module called twice",
    "image_group_norm": "GroupNorm",
    "image_layer_norm": "LayerNorm",
    "image_prelu": "PReLU",
    "image_hardswish": "hardswish",
    "image_silu": "SiLU",
    "image_gelu": "GELU",
    "image_dropout": "dropout",
    "sequence_attention": "self-attention",
    "sequence_gru": "GRU in a module of your own",
    "sequence_two_layers": "LSTM of two layers",
    "sequence_bidirectional": "GRU in both directions",
}
