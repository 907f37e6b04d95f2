"""Where every buffer lies in the arena: buffers share bytes when they are never needed together, and a step may write over
the part of its input that it has read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from edgebook.runtimes.c.steps import Convolution, Depthwise, Elementwise, Lookup, Mean, Place, Pool, Step, Window, reads


@dataclass(frozen=True)
class Buffer:
    """`size` bytes that are needed from step `first` to step `last`."""

    name: str
    size: int
    first: int
    last: int
    aligned: bool = False


@dataclass(frozen=True)
class Plan:
    """The arena: its size and the offset of every buffer, in bytes."""

    size: int
    offsets: dict[str, int]


def plan(steps: tuple[Step, ...], sizes: dict[int, int], scratch: list[int], *, overlap: int) -> Plan:
    """A plan for the tensors' buffers (`sizes` in bytes) and for the working memory of every step (`scratch`).

    overlap: the pixels that the last block of a convolution may read again; a block has one more. Several orders of placing
    are tried, the smallest arena is taken.
    """
    buffers, lags = _buffers(steps, sizes, scratch), _lags(steps, overlap)
    return min((_place(order, lags) for order in _orders(buffers)), key=lambda p: p.size)


def tensor_name(number: int) -> str:
    """A tensor's buffer in the plan."""
    return f"T{number}"


def scratch_name(step: int) -> str:
    """A step's working memory in the plan."""
    return f"S{step}"


def _buffers(steps: tuple[Step, ...], sizes: dict[int, int], scratch: list[int]) -> list[Buffer]:
    spans: dict[int, list[int]] = {}
    for index, step in enumerate(steps):
        for place in (*reads(step), step.target):
            if isinstance(place.buffer, int):
                spans.setdefault(place.buffer, [index, index])[1] = index
    buffers = [Buffer(tensor_name(number), sizes[number], *span) for number, span in spans.items()]
    return buffers + [Buffer(scratch_name(index), size, index, index, aligned=True) for index, size in enumerate(scratch)]


def _lags(steps: tuple[Step, ...], overlap: int) -> dict[tuple[str, str], tuple[int, int]]:
    """(output, input) -> (lag, multiple): the output may begin `lag` or more bytes before the input, the two a multiple apart."""
    first, last = {}, {}
    for index, step in enumerate(steps):
        first.setdefault(step.target.buffer, index)
        for place in reads(step):
            last[place.buffer] = index
    lags: dict[tuple[str, str], tuple[int, int]] = {}
    for index, step in enumerate(steps):
        target = step.target
        for source in {place.buffer for place in reads(step)}:
            inside = isinstance(source, int) and isinstance(target.buffer, int) and source != target.buffer
            places = [place for place in reads(step) if place.buffer == source]
            limits = [(lag, place) for place in places if (lag := _lag(step, place, overlap)) is not None]
            if inside and first[target.buffer] == last[source] == index and len(limits) == len(places):
                moved = (lag - place.offset + target.offset for lag, place in limits)
                multiple = step.window.channels if isinstance(step, Depthwise) else 1
                lags[tensor_name(target.buffer), tensor_name(source)] = max(moved), multiple
    return lags


def _lag(step: Step, source: Place, overlap: int) -> int | None:
    """How many bytes before its input a step's output has to begin, so that it never writes over what it still reads."""
    if isinstance(step, Convolution) and not step.dense:
        whole = step.window.out_height * step.window.out_width % (overlap + 1) == 0  # no block overlaps another
        return _window_lag(step.window, len(step.weights), ahead=1 if whole else 1 - overlap)
    if isinstance(step, Depthwise) and step.weights.shape[1] == step.window.channels and step.window.channels % 4 == 0:
        return _window_lag(step.window, step.window.channels, ahead=1)
    if isinstance(step, Pool):
        return _window_lag(step.window, step.window.channels, ahead=0)
    if isinstance(step, Mean | Lookup) or (isinstance(step, Elementwise) and (source == step.first or step.n == step.n_second)):
        return 0
    return None


def _window_lag(window: Window, out_channels: int, *, ahead: int) -> int:
    """Pixels are written in order; when pixel p has been written, the inputs of pixel p + ahead and later are still read."""
    rows = np.maximum(np.arange(window.out_height) * window.stride_height - window.pad_top, 0)
    columns = np.maximum(np.arange(window.out_width) * window.stride_width - window.pad_left, 0)
    starts = (rows[:, None] * window.width + columns).ravel() * window.channels
    still_read = np.minimum.accumulate(starts[::-1])[::-1]
    pixels = np.arange(len(starts))
    pixels = pixels[pixels + ahead < len(starts)]
    if not len(pixels):  # one pixel: all is read before it is written
        return -window.height * window.width * window.channels
    return int(((pixels + 1) * out_channels - still_read[np.maximum(pixels + ahead, 0)]).max())


def _orders(buffers: list[Buffer]) -> Iterable[list[Buffer]]:
    yield sorted(buffers, key=lambda b: (-b.size, b.first))
    yield sorted(buffers, key=lambda b: (-b.size * (b.last - b.first + 1), b.first))
    yield sorted(buffers, key=lambda b: b.first)
    yield sorted(buffers, key=lambda b: -b.last)
    generator = np.random.default_rng(0)
    for _ in range(200 if len(buffers) <= 100 else 0):
        yield sorted(buffers, key=lambda b: -b.size * generator.uniform(0.3, 1.0))


def _place(buffers: list[Buffer], lags: dict[tuple[str, str], tuple[int, int]]) -> Plan:
    """Every buffer in turn at the lowest offset where it harms none that is placed."""
    placed: list[tuple[Buffer, int]] = []
    for buffer in buffers:
        rivals = [(other, at) for other, at in placed if other.first <= buffer.last and buffer.first <= other.last]
        tried = {0}
        for other, at in rivals:
            tried |= {at + other.size, at - buffer.size}
            if (buffer.name, other.name) in lags:
                tried.add(at - lags[buffer.name, other.name][0])
            if (other.name, buffer.name) in lags:
                tried.add(at + lags[other.name, buffer.name][0])
        tried = {offset + (-offset % 4 if buffer.aligned else 0) for offset in tried if offset >= 0}
        fitting = (offset for offset in sorted(tried) if all(_agree(buffer, offset, other, at, lags) for other, at in rivals))
        placed.append((buffer, next(fitting)))
    size = max((at + buffer.size for buffer, at in placed), default=0)
    return Plan(size, {buffer.name: at for buffer, at in placed})


def _agree(a: Buffer, at_a: int, b: Buffer, at_b: int, lags: dict[tuple[str, str], tuple[int, int]]) -> bool:
    """Whether two buffers that live together may lie so: apart, or one a step's output that follows its reading."""
    if at_a + a.size <= at_b or at_b + b.size <= at_a:
        return True
    for out, at_out, source, at_source in ((a, at_a, b, at_b), (b, at_b, a, at_a)):
        lag, multiple = lags.get((out.name, source.name), (None, 1))
        if lag is not None and at_source - at_out >= lag and (at_source - at_out) % multiple == 0:
            return True
    return False
