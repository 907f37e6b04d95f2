"""Which kernel runs a step, and how many bytes it works in, for each kind of processor."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from edgebook.runtimes.c.steps import Convolution, Depthwise, Step, Window
from edgebook.runtimes.c.sub_8_bit import Packed

BLOCK = 4  # pixels that the kernels take together, at most
GROUP = 8  # pixels for which a row of packed weights is decoded


def convolution_kernel(step: Convolution) -> str:
    if step.dense:
        return "dense"
    return "convolution" if pixels(step.window) >= BLOCK else "convolution_few"


def depthwise_kernel(step: Depthwise) -> str:
    """depthwise_3x3 and depthwise take four channels at once: one output channel for each input channel is needed."""
    window = step.window
    if not step.weights.shape[1] == window.channels >= BLOCK:
        return "depthwise_any"
    sides = window.kernel_height, window.kernel_width, window.stride_height, window.stride_width
    return "depthwise_3x3" if sides == (3, 3, 1, 1) and window.out_width > 1 else "depthwise"


def int8_patches(step: Step, packed: Packed | None, *, block: int) -> int:
    """Bytes where patches stay int8, after a decoded row of packed weights."""
    if isinstance(step, Depthwise):
        return decoded_bytes(packed) + taps(step.window)
    if not isinstance(step, Convolution):
        return 0
    kernel, row = convolution_kernel(step), padded_row(step.weights.shape[1], packed)
    decoded = row if packed else 0
    if kernel == "dense":
        return decoded
    if kernel == "convolution_few":
        return decoded + 2 * row + taps(step.window)
    if packed:
        block = GROUP if pixels(step.window) >= GROUP else BLOCK
    return decoded + block * row


def int16_pairs(step: Step, packed: Packed | None) -> int:
    """Bytes where patches are pairs of int16, the four of a block in turns, behind them one as int8; before them the table of
    packed weights. Or columns of four depthwise channels."""
    if isinstance(step, Depthwise):
        return decoded_bytes(packed) + _columns(step)
    if not isinstance(step, Convolution):
        return 0
    kernel, row = convolution_kernel(step), padded_row(step.weights.shape[1], packed)
    table = TABLE_BYTES[packed.bits] if packed else 0
    if kernel == "dense":
        return table + 2 * row
    return table + (8 if kernel == "convolution" else 2) * row + taps(step.window)


def _columns(step: Depthwise) -> int:
    window, kernel = step.window, depthwise_kernel(step)
    positions = (window.out_width - 1) * window.stride_width + window.kernel_width
    if kernel == "depthwise_any":
        return taps(window)
    if kernel == "depthwise_3x3":
        return 32 * positions + 80
    return 16 * ((window.kernel_height + 1) // 2) * (positions + window.kernel_width)


def decoded_bytes(packed: Packed | None) -> int:
    """All weights of a packed depthwise layer."""
    return packed.row + -packed.row % 8 if packed else 0


def taps(window: Window) -> int:
    return window.kernel_height * window.kernel_width * window.channels


def pixels(window: Window) -> int:
    return window.out_height * window.out_width


def padded_row(n_taps: int, packed: Packed | None) -> int:
    """Taps of a row of weights with its padding."""
    return packed.row if packed else n_taps + -n_taps % 4


TABLE_BYTES = {4: 1024, 2: 64, 1: 16}
PROCESSORS: dict[str, Callable[[Step, Packed | None], int]] = {
    "#if defined(DSP)": int16_pairs,
    "#elif defined(THUMB1)": partial(int8_patches, block=2),
    "#else": partial(int8_patches, block=4),
}
