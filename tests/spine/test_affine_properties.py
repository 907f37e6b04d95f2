"""What linear quantization promises for any tensor, any number of bits, with one scale or one per channel."""

import numpy as np
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from edgebook import affine

FLOATS = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)
TENSORS = arrays(np.float32, array_shapes(min_dims=2, max_dims=3, max_side=6), elements=FLOATS).map(torch.from_numpy)
BITS = st.integers(2, affine.MAX_BITS)
AXES = st.sampled_from([None, 0, 1])


@given(TENSORS, BITS, st.booleans(), AXES)
def test_rounding_error_is_at_most_half_a_step(w, bits, symmetric, axis):
    scale, _ = affine.qparams(*affine.ranges(w, axis=axis), bits=bits, symmetric=symmetric)
    error = (affine.round_trip(w, bits=bits, symmetric=symmetric, axis=axis) - w).abs()
    largest = error.max() if axis is None else error.movedim(axis, 0).flatten(1).amax(1)
    assert (largest <= scale / 2 * (1 + 1e-3) + 1e-6 * w.abs().max()).all()  # what float32 itself rounds


@given(TENSORS, BITS, st.booleans(), AXES)
def test_integers_stay_within_their_limits_and_keep_the_order(w, bits, symmetric, axis):
    bottom, top = affine.limits(bits, symmetric=symmetric)
    scale, zero_point = affine.qparams(*affine.ranges(w, axis=axis), bits=bits, symmetric=symmetric)
    q = affine.quantize(w, scale, zero_point, bits=bits, symmetric=symmetric, axis=axis)
    assert bottom <= q.min()
    assert q.max() <= top
    for values, integers in zip(*(_slices(x, axis) for x in (w, q)), strict=True):
        assert (integers[values.argsort(stable=True)].diff() >= 0).all()


@given(TENSORS, BITS, st.booleans(), AXES)
def test_zero_stays_zero(w, bits, symmetric, axis):
    assert (affine.round_trip(w, bits=bits, symmetric=symmetric, axis=axis)[w == 0] == 0).all()


@given(TENSORS, BITS, AXES)
def test_a_second_round_trip_changes_nothing(w, bits, axis):
    rounded = affine.round_trip(w, bits=bits, axis=axis)
    assert torch.allclose(affine.round_trip(rounded, bits=bits, axis=axis), rounded, rtol=1e-5, atol=0)


@given(TENSORS, BITS, st.booleans(), AXES)
def test_twice_the_tensor_rounds_to_twice_the_values(w, bits, symmetric, axis):
    assume(not ((w != 0) & (w.abs() < 1e-30)).any())  # a scale below SMALLEST_SCALE becomes 1
    rounded = affine.round_trip(w, bits=bits, symmetric=symmetric, axis=axis)
    assert torch.equal(affine.round_trip(2 * w, bits=bits, symmetric=symmetric, axis=axis), 2 * rounded)


@given(TENSORS, BITS, st.booleans())
def test_per_channel_is_each_channel_on_its_own(w, bits, symmetric):
    alone = [affine.round_trip(channel, bits=bits, symmetric=symmetric) for channel in w]
    assert torch.equal(affine.round_trip(w, bits=bits, symmetric=symmetric, axis=0), torch.stack(alone))


def _slices(x, axis):
    return x.reshape(1, -1) if axis is None else x.movedim(axis, 0).flatten(1)
