"""Each kind of step as C: its constants and its call."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgebook.errors import Unsupported
from edgebook.runtimes.c.fixed_point import mean_multiplier, weighted_sum
from edgebook.runtimes.c.rounding import pair, single_factor
from edgebook.runtimes.c.steps import (
    Convolution,
    Copy,
    Depthwise,
    Elementwise,
    Fill,
    Lookup,
    Mean,
    Pool,
    Quantized,
    Weighted,
    Window,
)
from edgebook.runtimes.c.sub_8_bit import Packed
from edgebook.runtimes.c.text import Text, at, scratch_at
from edgebook.runtimes.c.working_memory import convolution_kernel, decoded_bytes, depthwise_kernel, padded_row

LONGEST = 2**15 - 1  # sizes are int16 in the structs
EVERY_LAYER = {"layer", "pairs_dsp", "dot_plain", "dot_mve", "dot_dsp"}
PARTS = {"convolution": ("block", "lanes", "gather"), "convolution_few": ("pixel", "gather"), "dense": ("pixel",)}
DEPTHWISE = {
    "depthwise_any": {"depthwise_any"},
    "depthwise": {"pairs_dsp", "depthwise_any", "depthwise_dsp", "depthwise_mve"},
    "depthwise_3x3": {"pairs_dsp", "depthwise_any", "depthwise_3x3_dsp", "depthwise_mve"},
}


def convolution(text: Text, step: Convolution, index: int) -> None:
    kernel, packed, taps = convolution_kernel(step), text.packed.get(index), step.weights.shape[1]
    part, *others = PARTS[kernel]
    text.kernels |= EVERY_LAYER | {kernel, *others, f"{part}_packed" if packed else part}
    if packed:
        text.kernels |= {"decode", "packed", "packed_dsp"}
    row = padded_row(taps, packed)
    rows = np.zeros((len(step.weights), row), np.int8)
    rows[:, :taps] = step.weights
    layer = _layer(text, step, index, packed.data if packed else rows, taps, row)
    text.call(kernel, layer, at(step.source), at(step.target), scratch_at(index))


def depthwise(text: Text, step: Depthwise, index: int) -> None:
    kernel, packed, taps = depthwise_kernel(step), text.packed.get(index), len(step.weights)
    text.kernels |= {"layer", "gather"} | DEPTHWISE[kernel]
    layer = _layer(text, step, index, packed.data if packed else step.weights, taps, taps)
    if not packed:
        text.call(kernel, layer, at(step.source), at(step.target), scratch_at(index))
        return
    text.kernels |= {"decode", "depthwise_packed"}
    decoded, used = f"decoded{index}", decoded_bytes(packed)
    text.calls.append(f"layer_t {decoded} = unpacked({layer}, {scratch_at(index)});")
    text.call(kernel, f"&{decoded}", at(step.source), at(step.target), f"{scratch_at(index)} + {used}")


def _layer(text: Text, step: Weighted, index: int, weights: np.ndarray, taps: int, row: int) -> str:
    """The struct of a layer with weights; its address."""
    if max(taps, len(step.bias)) > LONGEST:
        raise Unsupported(
            f"c has no layer of {taps} taps and {len(step.bias)} channels, at most {LONGEST}; litert runs it", code="operator"
        )
    name, scales, packed = f"layer{index}", text.rounding.factors(step.scales), text.packed.get(index)
    values = [_window(step.window), taps, row, len(step.bias), step.zero_in, _limits(step.out), int(len(scales) > 1)]
    arrays = [
        text.array("int8_t", f"{name}_weights", weights.ravel()),
        text.array("int32_t", f"{name}_bias", step.bias),
        text.array("scale_t", f"{name}_scale", scales),
    ]
    if text.packed:
        arrays += _codebook(text, name, packed)
    return text.struct("layer_t", name, *values, *arrays)


def _codebook(text: Text, name: str, packed: Packed | None) -> list:
    return [text.array("int8_t", f"{name}_codebook", packed.codebook), packed.bits] if packed else [0, 8]


def _window(window: Window) -> str:
    values = list(vars(window).values())
    if max(values) > LONGEST or max(values[5:]) > 255:
        raise Unsupported(f"c has no window as large as {window}; litert runs it", code="operator")
    return "{" + ", ".join(map(str, values)) + "}"


def _limits(out: Quantized) -> str:
    return f"{out.zero_point}, {out.low}, {out.high}"


def elementwise(text: Text, step: Elementwise, index: int) -> None:
    places, name = (at(step.first), at(step.second), at(step.target)), f"layer{index}"
    sizes, zeros, limits = (step.n, step.n_second), (step.zero_first, step.zero_second), _limits(step.out)
    sign = -1 if step.kind == "SUB" else 1
    if step.kind == "MUL":
        scale, left = text.rounding.factor(single_factor(step)[0])
        text.kernels.add("multiply")
        text.call("multiply", text.struct("product_t", name, scale, *sizes, *zeros, left, limits), *places)
    elif text.rounding.profile == "gemmlowp":
        twice = 2 * max(step.scale_first, step.scale_second)
        scales = step.scale_first / twice, step.scale_second / twice, twice / ((1 << 20) * step.out.scale)
        text.kernels.add("add_gemmlowp")
        text.call("sum", text.struct("sum_t", name, *map(pair, scales), *sizes, *zeros, limits, sign), *places)
    else:
        a, b, shift = weighted_sum(step.scale_first / step.out.scale, sign * step.scale_second / step.out.scale)
        bias = (1 << (shift - 1)) - a * step.zero_first - b * step.zero_second
        text.kernels.add("add_single")
        text.call("sum", text.struct("sum_t", name, a, b, bias, *sizes, limits, shift), *places)


def pool(text: Text, step: Pool, index: int) -> None:
    function = {"MAX": "max_pool", "AVERAGE": "average_pool"}[step.kind]
    text.kernels.add(function)
    window = text.struct("window_t", f"layer{index}", _window(step.window)[1:-1])
    text.call(function, window, step.low, step.high, at(step.source), at(step.target))


def mean(text: Text, step: Mean, index: int) -> None:
    scale, left = text.rounding.factor(single_factor(step)[0])
    if text.rounding.profile == "gemmlowp":
        m, right = mean_multiplier(step.scale_in / step.out.scale, step.divisor)
        scale = f"{{{m}, {right}}}"
    values = scale, step.outer, step.count, step.inner, -step.count * step.zero_in, left, _limits(step.out)
    text.kernels.add("mean")
    text.call("mean", text.struct("mean_t", f"layer{index}", *values), at(step.source), at(step.target))


def lookup(text: Text, step: Lookup, index: int) -> None:
    text.kernels.add("lookup")
    table = text.array("int8_t", f"layer{index}_table", step.table)
    text.call("lookup", table, at(step.source), at(step.target), step.n)


def copy(text: Text, step: Copy, index: int) -> None:
    if step.sizes[:3] == (1, 1, 1) and step.strides_in[3] == step.strides_out[3] == 1:
        text.call("memcpy", at(step.target), at(step.source), step.sizes[3])
        return
    text.kernels.add("copy")
    values = ("{" + ", ".join(map(str, part)) + "}" for part in (step.sizes, step.strides_in, step.strides_out))
    text.call("copy", text.struct("copy_t", f"layer{index}", *values), at(step.source), at(step.target))


def fill(text: Text, step: Fill, index: int) -> None:
    text.call("memset", at(step.target), step.value, step.n)


WRITERS: dict[type, Callable[..., None]] = {  # (text, step of that type, index)
    Convolution: convolution,
    Copy: copy,
    Depthwise: depthwise,
    Elementwise: elementwise,
    Fill: fill,
    Lookup: lookup,
    Mean: mean,
    Pool: pool,
}
