"""Operators that calculate, as steps."""

from __future__ import annotations

import numpy as np

from edgebook.errors import Unsupported
from edgebook.runtimes.c.draft import Draft, quantization, quantized
from edgebook.runtimes.c.graph import Operator
from edgebook.runtimes.c.steps import Convolution, Depthwise, Elementwise, Lookup, Mean, Pool, Window
from edgebook.runtimes.c.tables import table


def _window(draft: Draft, operator: Operator, kernel: tuple[int, int]) -> Window:
    """The window of a convolution or a pool, with the padding of a folded PAD."""
    options, (_, out_height, out_width, _) = operator.options, draft.result(operator).shape
    if (options.get("dilationHFactor", 1), options.get("dilationWFactor", 1)) != (1, 1):
        raise Unsupported(f"c has no dilation in {operator.name}; litert runs it", code="operator")
    source, number = draft.tensor(operator), operator.inputs[0]
    strides = options["strideH"], options["strideW"]
    if number in draft.padding:
        source, before = draft.padding[number]
        pads = [int(p) for p in before[1:3]]
    else:
        pads = [
            max((out - 1) * stride + k - size, 0) // 2 if options["padding"] == "SAME" else 0
            for out, stride, k, size in zip((out_height, out_width), strides, kernel, source.shape[1:3], strict=True)
        ]
    (height, width, channels), (top, left) = source.shape[1:], pads
    return Window(height, width, channels, out_height, out_width, *kernel, *strides, top, left)


def _weights(draft: Draft, operator: Operator, flat: np.ndarray) -> dict:
    """What all layers with weights share. `flat` (out_channels, taps): the zero point of the input goes into the bias."""
    source, weights, target = draft.tensor(operator), draft.tensor(operator, 1), draft.result(operator)
    bias = np.zeros(len(flat), np.int64)
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        bias = draft.tensor(operator, 2).data.astype(np.int64)
    bias = bias - source.zero_point * flat.astype(np.int64).sum(1)
    scales = np.float64(source.scale[0]) * weights.scale.astype(np.float64) / np.float64(target.scale[0])
    return {
        "source": draft.source(operator),
        "target": draft.target(operator),
        "bias": bias.astype(np.int32),
        "scales": scales,
        "zero_in": source.zero_point,
        "out": quantized(operator, target),
    }


def convolution(draft: Draft, operator: Operator) -> None:
    """CONV_2D without groups and dilation."""
    weights = draft.tensor(operator, 1).data  # (out, height, width, in)
    window = _window(draft, operator, weights.shape[1:3])
    if weights.shape[3] != window.channels:
        raise Unsupported(f"c has no CONV_2D with {window.channels // weights.shape[3]} groups; litert runs it", code="operator")
    flat = weights.reshape(len(weights), -1)
    draft.steps.append(Convolution(window=window, weights=flat, **_weights(draft, operator, flat)))


def depthwise(draft: Draft, operator: Operator) -> None:
    """DEPTHWISE_CONV_2D; over one channel it is a convolution, since every output channel reads the same patch."""
    weights = draft.tensor(operator, 1).data  # (1, height, width, out)
    window = _window(draft, operator, weights.shape[1:3])
    flat = weights.reshape(-1, weights.shape[3])
    shared = _weights(draft, operator, flat.T)
    if window.channels == 1:
        draft.steps.append(Convolution(window=window, weights=np.ascontiguousarray(flat.T), **shared))
    else:
        draft.steps.append(Depthwise(window=window, weights=flat, **shared))


def dense(draft: Draft, operator: Operator) -> None:
    """FULLY_CONNECTED over one row or several; a folded TRANSPOSE moves into the columns of the weights."""
    if operator.options.get("weightsFormat", 0) != 0:
        raise Unsupported("c has no shuffled weights in FULLY_CONNECTED; litert runs it", code="operator")
    flat, number = draft.tensor(operator, 1).data, operator.inputs[0]
    if number in draft.columns:
        moved = np.empty_like(flat)
        moved[:, draft.columns[number]] = flat
        flat = moved
    rows = draft.tensor(operator).size // flat.shape[1]
    window = Window(1, rows, flat.shape[1], 1, rows, 1, 1)
    draft.steps.append(Convolution(window=window, weights=flat, dense=True, **_weights(draft, operator, flat)))


def elementwise(draft: Draft, operator: Operator) -> None:
    """ADD, SUB and MUL of equal shapes, or where the second input is repeated as a whole."""
    first, second, target = 0, 1, draft.result(operator)
    if draft.tensor(operator, 0).size < draft.tensor(operator, 1).size and operator.name != "SUB":
        first, second = 1, 0
    a, b = draft.tensor(operator, first), draft.tensor(operator, second)
    if a.size != target.size or not _repeats(b.shape, target.shape):
        raise Unsupported(f"c has no {operator.name} of shapes {a.shape} and {b.shape}; litert runs it", code="operator")
    places = draft.source(operator, first), draft.source(operator, second), draft.target(operator)
    scales = (*quantization(a), *quantization(b))
    draft.steps.append(Elementwise(operator.name, *places, a.size, b.size, *scales, quantized(operator, target)))


def _repeats(shape: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether broadcasting `shape` to `whole` is the same values again and again."""
    first = next((axis for axis, size in enumerate(shape) if size > 1), len(shape))
    inner = shape[first:]
    return whole[len(whole) - len(inner) :] == inner


def pool(draft: Draft, operator: Operator, *, kind: str) -> None:
    """MAX_POOL_2D and AVERAGE_POOL_2D."""
    kernel = operator.options["filterHeight"], operator.options["filterWidth"]
    out = quantized(operator, draft.result(operator))
    window = _window(draft, operator, kernel)
    draft.steps.append(Pool(kind, draft.source(operator), draft.target(operator), window, out.low, out.high))


def mean(draft: Draft, operator: Operator, *, divides: bool = True) -> None:
    """MEAN, or SUM where it does not divide, over axes that follow one another."""
    source = draft.tensor(operator)
    axes = sorted({int(axis) % len(source.shape) for axis in draft.tensor(operator, 1).data.ravel()})
    if not axes or any(size > 1 for size in (source.shape[a] for a in range(axes[0], axes[-1]) if a not in axes)):
        raise Unsupported(f"c has no {operator.name} over axes {axes} of {source.shape}; litert runs it", code="operator")
    outer, inner = int(np.prod(source.shape[: axes[0]])), int(np.prod(source.shape[axes[-1] + 1 :]))
    count = source.size // (outer * inner)
    divisor = count if divides else 1
    places, out = (draft.source(operator), draft.target(operator)), quantized(operator, draft.result(operator))
    draft.steps.append(Mean(*places, outer, count, inner, divisor, *quantization(source), out))


def lookup(draft: Draft, operator: Operator) -> None:
    """An operator of one int8 as a table of 256."""
    values = table(operator.name, draft.tensor(operator), draft.result(operator))
    draft.steps.append(Lookup(draft.source(operator), draft.target(operator), draft.tensor(operator).size, values))
