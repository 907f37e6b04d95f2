"""Real factors as integers: how exact they are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebook.runtimes.c import fixed_point as fp

SCALE = st.floats(1e-7, 4.0)
seeded = settings(max_examples=200, deadline=None, derandomize=True, database=None)


@given(scale=SCALE)
@seeded
def test_a_multiplier_is_exact_to_31_bits(scale):
    m, right = fp.multiplier(scale)
    assert 1 << 30 <= m < 1 << 31
    assert abs(m / 2.0 ** (32 + right) - scale) <= scale * 2.0**-31


HALF = 1 << 30


@pytest.mark.parametrize(
    ("scale", "wanted"), [(0.5, (HALF, -1)), (1.0, (HALF, -2)), (0.75, (3 << 29, -1)), (0.0, (0, 31)), (2.0**-40, (0, 31))]
)
def test_multipliers_by_hand(scale, wanted):
    assert fp.multiplier(scale) == wanted


@given(scales=st.lists(st.floats(1e-6, 0.2), min_size=1, max_size=8), largest=st.integers(1, 1 << 24))
@seeded
def test_one_shift_for_a_network_is_exact_where_it_is_given(scales, largest):
    scales = np.array(scales)
    right = fp.common_shift(scales, np.full(len(scales), largest))
    if right is None:  # only where the smallest factor would lose too many bits
        assert scales.max() / scales.min() > 2**8
        return
    m = np.array([fp.fixed(scale, right) for scale in scales], float)
    assert m.max() < 2**31
    sums = np.minimum(largest, 256 / scales)
    assert np.all(np.abs(sums * m / 2.0 ** (32 + right) - sums * scales) <= 1 / 4096)


@given(scale=SCALE, right=st.integers(1, 22))
@seeded
def test_a_single_factor_is_shifted_to_the_left_where_it_has_to_be(scale, right):
    m, left = fp.shifted(scale, right)
    assert 0 <= m < 1 << 31
    assert m * 2.0 ** (left - 32 - right) == pytest.approx(scale, rel=2.0**-29, abs=2.0 ** (-33 - right))


@given(a=st.floats(0.01, 4.0), b=st.floats(0.01, 4.0), minus=st.booleans())
@seeded
def test_both_factors_of_a_sum_share_one_shift(a, b, minus):
    first, second, shift = fp.weighted_sum(a, -b if minus else b)
    assert 1 << 20 <= max(abs(first), abs(second)) <= 1 << 21
    assert (second < 0) == minus
    assert first / 2**shift == pytest.approx(np.float32(a), abs=2.0 ** -(shift + 1))


def test_the_limits_of_an_activation():
    assert fp.limits("NONE", 0.1, 5) == (-128, 127)
    assert fp.limits("RELU", 0.1, -20) == (-20, 127)
    assert fp.limits("RELU6", 0.1, -20) == (-20, 40)
    assert fp.limits("RELU_N1_TO_1", 0.1, 0) == (-10, 10)
