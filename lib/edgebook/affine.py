"""The arithmetic of linear quantization, once: real = (integer - zero_point) * scale."""

from __future__ import annotations

import torch
from torch import Tensor

from edgebook.errors import BadInput

MAX_BITS = 16
SMALLEST_SCALE = torch.finfo(torch.float32).tiny  # below it, 1 / scale overflows


def limits(bits: int, *, symmetric: bool) -> tuple[int, int]:
    """Smallest and largest integer: -127..127 for 8 bits symmetric, -128..127 otherwise. Raises BadInput beyond 2..16 bits."""
    if isinstance(bits, bool) or not isinstance(bits, int) or not 2 <= bits <= MAX_BITS:
        raise BadInput(f"bits = {bits!r}; allowed: 2 to {MAX_BITS}")
    top = 2 ** (bits - 1) - 1
    return (-top if symmetric else -top - 1), top


def ranges(w: Tensor, *, axis: int | None = None) -> tuple[Tensor, Tensor]:
    """Smallest and largest value, of the whole tensor (shape ()) or of each slice along `axis` (shape (n,)).
    Raises BadInput when there is a NaN or an infinity: rounding one would hide it."""
    if not torch.isfinite(w).all():
        raise BadInput(f"a tensor of shape {tuple(w.shape)} holds NaN or infinity; finite weights are needed")
    flat = w.reshape(1, -1) if axis is None else w.movedim(axis, 0).flatten(1)
    low, high = flat.amin(1), flat.amax(1)
    return (low[0], high[0]) if axis is None else (low, high)


def qparams(low: Tensor, high: Tensor, *, bits: int, symmetric: bool) -> tuple[Tensor, Tensor]:
    """scale (float32) and zero_point (int32) that span low..high and hold 0 exactly.

    symmetric: scale = max(|low|, |high|) / top, zero_point 0. asymmetric: scale = (high - low) / steps,
    zero_point = smallest - low / scale. A constant zero, or a range too small for float32, has scale 1.
    Source: Jacob et al. 2018, equations 1 and 3.
    """
    bottom, top = limits(bits, symmetric=symmetric)
    low, high = low.clamp(max=0.0), high.clamp(min=0.0)
    span = torch.maximum(-low, high) / top if symmetric else (high - low) / (top - bottom)
    scale = torch.where(span >= SMALLEST_SCALE, span, torch.ones_like(span)).float()
    zero_point = torch.zeros_like(scale) if symmetric else (bottom - low / scale).round().clamp(bottom, top)
    return scale, zero_point.int()


def quantize(x: Tensor, scale: Tensor, zero_point: Tensor, *, bits: int, symmetric: bool, axis: int | None = None) -> Tensor:
    """round(x / scale) + zero_point, clipped, as int32. Halves go to even, as in PyTorch and in the runtimes."""
    bottom, top = limits(bits, symmetric=symmetric)
    scale, zero_point = _along(scale, x, axis), _along(zero_point, x, axis)
    return ((x * (1 / scale)).round() + zero_point).clamp(bottom, top).int()


def dequantize(q: Tensor, scale: Tensor, zero_point: Tensor, *, axis: int | None = None) -> Tensor:
    """(q - zero_point) * scale, float32. Inside the range it is at most scale / 2 off."""
    return (q - _along(zero_point, q, axis)).float() * _along(scale, q, axis)


def round_trip(w: Tensor, *, bits: int, symmetric: bool = True, axis: int | None = None) -> Tensor:
    """The tensor as `bits` can hold it: quantized by its own range and back. 32 bits change nothing."""
    if bits == 32:
        return w.clone()
    scale, zero_point = qparams(*ranges(w, axis=axis), bits=bits, symmetric=symmetric)
    q = quantize(w, scale, zero_point, bits=bits, symmetric=symmetric, axis=axis)
    return dequantize(q, scale, zero_point, axis=axis)


def _along(values: Tensor, x: Tensor, axis: int | None) -> Tensor:
    """One value a slice, shaped so that it broadcasts over `x`."""
    if axis is None:
        return values
    shape = [1] * x.ndim
    shape[axis] = -1
    return values.reshape(shape)
