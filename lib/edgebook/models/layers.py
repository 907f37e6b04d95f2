"""What the families share: checks of a shape at the door, and convolution + batch norm + activation."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from edgebook.errors import BadInput, one_line


def as_image(model: str, input_shape: Sequence[int], *, at_least: int = 1) -> tuple[int, int, int]:
    """(C, H, W) of an image input. Raises BadInput for anything else, or for a side below `at_least` pixels."""
    shape = tuple(input_shape)
    if len(shape) != 3 or min(shape[1:]) < at_least:
        size = f", {at_least} x {at_least} pixels or more" if at_least > 1 else ""
        raise BadInput(f"model {model} does not fit input_shape {shape}; allowed: (channels, height, width){size}")
    return shape


def positive_ints(model: str, key: str, values, *, n: int | None = None) -> tuple[int, ...]:
    """`values` as a tuple of whole numbers above zero, `n` of them. Raises BadInput otherwise."""
    listed = tuple(values) if isinstance(values, list | tuple) else (values,)
    good = all(isinstance(v, Integral) and not isinstance(v, bool) and v > 0 for v in listed)
    if not good or (n is not None and len(listed) != n):
        amount = {None: "whole numbers", 1: "one whole number"}.get(n, f"{n} whole numbers")
        raise BadInput(f"model {model}: {key} = {values!r}; allowed: {amount} above zero")
    return tuple(int(v) for v in listed)


def positive_number(model: str, key: str, value) -> float:
    """`value` as a float above zero. Raises BadInput otherwise."""
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 < value < float("inf"):
        raise BadInput(f"model {model}: {key} = {value!r}; allowed: a number above zero")
    return float(value)


def probability(model: str, key: str, value) -> float:
    """`value` as a float in [0, 1). Raises BadInput otherwise."""
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 <= value < 1:
        raise BadInput(f"model {model}: {key} = {value!r}; allowed: a number in [0, 1)")
    return float(value)


def is_small(model: str, small: bool | None, height: int, width: int) -> bool:
    """Whether to take fewer strides: as asked, or (None) when a side is below 64 pixels."""
    if small is not None and not isinstance(small, bool):
        raise BadInput(f"model {model}: small = {small!r}; allowed: true, false, null (by the size of the image)")
    return min(height, width) < 64 if small is None else small


def make_divisible(channels: float, divisor: int = 8) -> int:
    """The multiple of `divisor` nearest to `channels`, one step up where rounding would lose over 10 %.

    Source: the MobileNet papers' reference code; multiples of 8 are what kernels like.
    """
    nearest = max(divisor, int(channels / divisor + 0.5) * divisor)
    return nearest if nearest >= 0.9 * channels else nearest + divisor


def conv_bn(
    c_in: int,
    c_out: int,
    kernel: int | tuple[int, int] = 3,
    *,
    stride: int = 1,
    groups: int = 1,
    activation: type[nn.Module] | None = nn.ReLU,
) -> nn.Sequential:
    """Conv2d ("same" padding, no bias: batch norm has one), BatchNorm2d and the activation, as a Sequential."""
    sides = (kernel, kernel) if isinstance(kernel, int) else tuple(kernel)
    padding = tuple((side - 1) // 2 for side in sides)
    conv = nn.Conv2d(c_in, c_out, sides, stride=stride, padding=padding, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out), *([activation()] if activation else []))


def materialize(name: str, model: nn.Module, input_shape: Sequence[int]) -> None:
    """Let layers without sizes, such as `LazyLinear`, take them, by one call in evaluation. Raises BadInput where it fails."""
    if not any(is_lazy(parameter) for parameter in model.parameters()):
        return
    was_training = model.training
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, *input_shape))
    except Exception as error:  # the user's code may raise anything
        raise BadInput(f"model {name} cannot be called with items of shape {tuple(input_shape)}: {one_line(error)}") from error
    model.train(was_training)
