"""The kernel calls that a network becomes: frozen records with places in memory, integers and real scales."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebook.runtimes.c.ends import Ends


@dataclass(frozen=True)
class Place:
    """Where a tensor lies: `offset` bytes into a buffer. Buffers: "input", "output", "state", numbers for the arena's, "constant"
    followed by the tensor's number for weights that are read as a tensor."""

    buffer: str | int
    offset: int = 0


@dataclass(frozen=True)
class Window:
    """What a convolution or a pool slides over: sizes in pixels, channels last. Padding below and right is what is missing."""

    height: int
    width: int
    channels: int
    out_height: int
    out_width: int
    kernel_height: int
    kernel_width: int
    stride_height: int = 1
    stride_width: int = 1
    pad_top: int = 0
    pad_left: int = 0


@dataclass(frozen=True)
class Quantized:
    """The integers of an output: scale, zero point and the limits of the fused activation."""

    scale: float
    zero_point: int
    low: int = -128
    high: int = 127


@dataclass(frozen=True, eq=False)
class Weighted:
    """A layer with weights: `scales` input * weight / output, one per channel or one; the input's zero point is in the bias."""

    source: Place
    target: Place
    window: Window
    weights: np.ndarray
    bias: np.ndarray
    scales: np.ndarray
    zero_in: int
    out: Quantized


@dataclass(frozen=True, eq=False)
class Convolution(Weighted):
    """Convolution or dense layer: weights (out_channels, taps) in the order of a patch. `dense`: one pixel, no window."""

    dense: bool = False


@dataclass(frozen=True, eq=False)
class Depthwise(Weighted):
    """Depthwise convolution: weights (taps, channels * multiplier)."""


@dataclass(frozen=True)
class Elementwise:
    """ADD, SUB or MUL of n values; `second` has `n_second` values and is repeated. Scale and zero point of both inputs."""

    kind: str
    first: Place
    second: Place
    target: Place
    n: int
    n_second: int
    scale_first: float
    zero_first: int
    scale_second: float
    zero_second: int
    out: Quantized


@dataclass(frozen=True)
class Pool:
    """MAX or AVERAGE over a window; padding does not count."""

    kind: str
    source: Place
    target: Place
    window: Window
    low: int
    high: int


@dataclass(frozen=True)
class Mean:
    """The sum over the middle axis of (outer, count, inner), divided by `divisor`: count for a mean, 1 for a sum."""

    source: Place
    target: Place
    outer: int
    count: int
    inner: int
    divisor: int
    scale_in: float
    zero_in: int
    out: Quantized


@dataclass(frozen=True)
class Lookup:
    """Any function of one int8: `table` has its 256 outputs, from input -128 on."""

    source: Place
    target: Place
    n: int
    table: tuple[int, ...]


@dataclass(frozen=True)
class Copy:
    """A copy in four loops: `sizes`, and the strides of both sides in bytes. Padding, concatenation, slices and transposes."""

    source: Place
    target: Place
    sizes: tuple[int, int, int, int]
    strides_in: tuple[int, int, int, int]
    strides_out: tuple[int, int, int, int]


@dataclass(frozen=True)
class Fill:
    """n bytes of one value."""

    target: Place
    n: int
    value: int


Step = Convolution | Depthwise | Elementwise | Pool | Mean | Lookup | Copy | Fill


@dataclass(frozen=True)
class Network:
    """What is generated: steps in order, the arena's buffers and their sizes in bytes, what goes in and comes out.

    state_start: the state's bytes before the first step.
    """

    steps: tuple[Step, ...]
    buffers: dict[int, int]
    constants: dict[str, np.ndarray]
    ends: Ends
    state_start: tuple[int, ...] = ()


def reads(step: Step) -> tuple[Place, ...]:
    """The places that a step reads."""
    if isinstance(step, Fill):
        return ()
    return (step.first, step.second) if isinstance(step, Elementwise) else (step.source,)
