"""The arena's plan: nothing is written over that is still read, and buffers share what they can."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebook.runtimes.c import memory
from edgebook.runtimes.c.steps import Convolution, Elementwise, Place, Quantized, Window

OUT = Quantized(0.1, 0)


def convolution(source, target, *, size, c_in, c_out, kernel=3, stride=1):
    out = -(-size // stride)
    pad = max((out - 1) * stride + kernel - size, 0) // 2
    window = Window(size, size, c_in, out, out, kernel, kernel, stride, stride, pad, pad)
    weights = np.zeros((c_out, kernel * kernel * c_in), np.int8)
    return Convolution(Place(source), Place(target), window, weights, np.zeros(c_out, np.int32), np.ones(1), 0, OUT)


def add(first, second, target, n):
    return Elementwise("ADD", Place(first), Place(second), Place(target), n, n, 0.1, 0, 0.1, 0, OUT)


def bytes_read(window, pixel):
    """The bytes of the input under the window of an output pixel."""
    y, x = divmod(pixel, window.out_width)
    rows = range(y * window.stride_height - window.pad_top, y * window.stride_height - window.pad_top + window.kernel_height)
    columns = range(x * window.stride_width - window.pad_left, x * window.stride_width - window.pad_left + window.kernel_width)
    inside = [(i, j) for i in rows for j in columns if 0 <= i < window.height and 0 <= j < window.width]
    return {(i * window.width + j) * window.channels + c for i, j in inside for c in range(window.channels)}


@given(size=st.integers(1, 9), c_in=st.integers(1, 5), c_out=st.integers(1, 5), kernel=st.sampled_from([1, 2, 3, 5]),
       stride=st.integers(1, 3), block=st.sampled_from([1, 2, 4]))  # fmt: skip
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_a_convolution_never_writes_over_what_it_still_reads(size, c_in, c_out, kernel, stride, block):
    step = convolution(0, 1, size=size, c_in=c_in, c_out=c_out, kernel=kernel, stride=stride)
    pixels = step.window.out_height * step.window.out_width
    plan = memory.plan((step,), {0: size * size * c_in, 1: pixels * c_out}, [0], overlap=3)
    source, target = plan.offsets["T0"], plan.offsets["T1"]
    starts = [min(first, max(pixels - block, 0)) for first in range(0, pixels, block)]
    read = [set().union(*(bytes_read(step.window, p) for p in range(s, min(s + block, pixels)))) for s in starts]
    for number, start in enumerate(starts):  # a block is gathered, then its outputs are written
        written = set(range(target + start * c_out, target + min(start + block, pixels) * c_out))
        later = {source + byte for block_read in read[number + 1 :] for byte in block_read}
        assert not written & later


def test_a_convolution_of_equal_size_needs_little_more_than_its_input():
    step = convolution(0, 1, size=28, c_in=16, c_out=16)
    n = 28 * 28 * 16
    assert memory.plan((step,), {0: n, 1: n}, [0], overlap=3).size <= n + (28 + 8) * 16


def test_what_is_read_again_later_is_kept():
    n = 8 * 8 * 4
    first, second = convolution("input", 0, size=8, c_in=4, c_out=4), convolution(0, 1, size=8, c_in=4, c_out=4)
    plan = memory.plan((first, second, add(1, 0, 2, n)), {0: n, 1: n, 2: n}, [0, 0, 0], overlap=3)
    apart = abs(plan.offsets["T0"] - plan.offsets["T1"])
    assert apart >= n  # the shortcut reads tensor 0 after the convolution
    assert plan.size == 2 * n  # the sum goes where one of its inputs was


@pytest.mark.parametrize("seed", range(5))
def test_buffers_that_live_together_lie_apart(seed):
    rng = np.random.default_rng(seed)
    steps, sizes = [], {}
    for number in range(12):
        source = "input" if number == 0 else int(rng.integers(max(0, number - 3), number))
        sizes[number] = int(rng.integers(1, 500))
        steps.append(add(source, source if rng.random() < 0.5 else "input", number, sizes[number]))
    scratch = [int(s) for s in rng.integers(0, 300, len(steps))]
    plan = memory.plan(tuple(steps), sizes, scratch, overlap=3)
    last = {
        number: max([i for i, s in enumerate(steps) if number in (s.first.buffer, s.second.buffer)] or [number])
        for number in sizes
    }
    for a in sizes:
        assert plan.offsets[f"T{a}"] + sizes[a] <= plan.size
        for b in range(a + 1, len(sizes)):
            if last[a] > b:  # alive beyond the step that makes b, so no step may write over it
                low, high = sorted((a, b), key=lambda number: plan.offsets[f"T{number}"])
                assert plan.offsets[f"T{low}"] + sizes[low] <= plan.offsets[f"T{high}"]
    for index, size in enumerate(scratch):
        at = plan.offsets[f"S{index}"]
        assert at % 4 == 0
        alive = [number for number in sizes if number <= index <= last[number]]
        assert all(at + size <= plan.offsets[f"T{n}"] or plan.offsets[f"T{n}"] + sizes[n] <= at for n in alive)
