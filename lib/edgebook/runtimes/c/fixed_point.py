"""Real scales as the integers that the kernels multiply and shift by."""

from __future__ import annotations

import math

import numpy as np

FULL = 1 << 31


def multiplier(scale: float) -> tuple[int, int]:
    """(m, right) with scale = m / 2^(32 + right): m in [2^30, 2^31), right >= -32. A scale below 2^-32 is (0, 31).

    A sum x is scaled by (x * m + 2^(31 + right)) >> (32 + right).
    Source: Jacob et al. 2018, section 2.2; LiteRT's QuantizeMultiplier rounds in the same way.
    """
    if scale < 0 or not math.isfinite(scale):
        raise ValueError(f"a scale of {scale}; allowed: finite, not negative")
    fraction, exponent = math.frexp(scale)
    m = math.floor(fraction * FULL + 0.5)
    if m == FULL:
        m, exponent = m // 2, exponent + 1
    if exponent < -31 or m == 0:
        return 0, 31
    return m, -1 - exponent


def common_shift(scales: np.ndarray, largest: np.ndarray) -> int | None:
    """The right shift, 1 to 22, that serves all `scales` of a network as m = scale * 2^(32 + right), or None where none does.

    The largest m is below 2^31. The smallest is exact enough for 1/4096 of an output step, with sums up to `largest` in
    magnitude and outputs within 256 steps.
    """
    right = min(-1 - math.frexp(float(np.max(scales)))[1], 22)
    steps = np.minimum(largest * scales, 256.0)
    exact = steps / 2 <= scales * 2.0 ** (32 + right) / 4096
    return right if right >= 1 and np.all(exact) else None


def shifted(scale: float, right: int) -> tuple[int, int]:
    """(m, left) with scale = m * 2^left / 2^(32 + right), m below 2^31: one scale where the network's shift is too large."""
    left = max(0, math.frexp(scale)[1] + 1 + right)
    return fixed(scale, right - left), left


def fixed(scale: float, right: int) -> int:
    """m of scale = m / 2^(32 + right), at most 2^31 - 1."""
    return min(round(scale * 2.0 ** (32 + right)), FULL - 1)


def once(scales: np.ndarray) -> np.ndarray:
    """The scales, or one of them where all are equal."""
    unique = np.unique(scales)
    return unique if len(unique) == 1 else scales


def mean_multiplier(scale: float, count: int) -> tuple[int, int]:
    """(m, right) of scale / count as LiteRT's reference kernel of MEAN divides: an integer division of m."""
    m, right = multiplier(scale)
    shift = min(count.bit_length() - 1, 30 - right)
    return (m << shift) // count, right + shift


def weighted_sum(scale_a: float, scale_b: float) -> tuple[int, int, int]:
    """(a, b, shift) with scale_a = a / 2^shift and scale_b = b / 2^shift: the larger of |a|, |b| is in [2^20, 2^21].

    scale_a, scale_b: input scale / output scale; negative subtracts. Source: the form of XNNPACK's qs8 addition, which it equals.
    """
    largest = max(abs(np.float32(scale_a)), abs(np.float32(scale_b)))
    shift = 20 - (math.frexp(float(largest))[1] - 1)
    a, b = (round(math.ldexp(float(np.float32(scale)), shift)) for scale in (scale_a, scale_b))
    return a, b, shift


def limits(activation: str, scale: float, zero_point: int) -> tuple[int, int]:
    """Smallest and largest int8 output after a fused activation: NONE, RELU, RELU6 or RELU_N1_TO_1."""
    low, high = ACTIVATIONS[activation]
    bottom = -128 if low is None else max(-128, zero_point + _rounded(low / scale))
    top = 127 if high is None else min(127, zero_point + _rounded(high / scale))
    return bottom, top


def _rounded(value: float) -> int:
    """The nearest integer, halves away from zero, in float32 as the runtimes do it."""
    single = np.float32(value)
    return int(np.sign(single) * np.floor(np.abs(single) + np.float32(0.5)))


ACTIVATIONS = {"NONE": (None, None), "RELU": (0.0, None), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0)}
