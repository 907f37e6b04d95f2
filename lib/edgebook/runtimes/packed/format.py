"""The packed format: one record per tensor, the smallest form that holds it exactly. numpy only.

A record is a byte for the form, a byte for the bits, then the data. Few distinct values become a codebook and indices of 0 to
8 bits; values on a grid for each output channel become integers and scales; the rest stays float.
"""

from __future__ import annotations

import struct

import numpy as np

FLOAT32, FLOAT16, CODEBOOK32, CODEBOOK16, GRID = range(5)


def encode(values: np.ndarray) -> bytes:
    """The record of a float32 array, in its smallest exact form."""
    records = [form(values) for form in (_floats, _codebook, _grid)]
    return min((record for record in records if record is not None), key=len)


def stored_bits(record: bytes) -> tuple[str, int]:
    """Form (float, int or codebook) and bits per value of a record."""
    form, bits = record[0], record[1]
    if form in (FLOAT32, FLOAT16):
        return "float", 32 if form == FLOAT32 else 16
    return ("int" if form == GRID else "codebook"), bits


def _floats(values: np.ndarray) -> bytes:
    half = fits_half(values)
    return struct.pack("<BB", FLOAT16 if half else FLOAT32, 0) + values.astype(np.float16 if half else np.float32).tobytes()


def _codebook(values: np.ndarray) -> bytes | None:
    levels, indices = np.unique(values, return_inverse=True)
    if not 0 < len(levels) <= 256:
        return None
    bits, half = (len(levels) - 1).bit_length(), fits_half(levels)
    book = levels.astype(np.float16 if half else np.float32).tobytes()
    head = struct.pack("<BBB", CODEBOOK16 if half else CODEBOOK32, bits, len(levels) - 1)
    return head + book + pack_bits(indices.reshape(-1), bits)


def _grid(values: np.ndarray) -> bytes | None:
    """Integers times one float16 scale for each output channel (axis 0), when that is exact."""
    if values.ndim < 2:
        return None
    grids = [on_grid(channel) for channel in values.reshape(len(values), -1)]
    if any(grid is None for grid in grids):
        return None
    scales = np.array([scale for scale, _ in grids], np.float16)
    q = np.stack([integers for _, integers in grids])
    bits = max(2, int(np.abs(q).max()).bit_length() + 1)
    offset = 2 ** (bits - 1) - 1
    return struct.pack("<BB", GRID, bits) + scales.tobytes() + pack_bits((q + offset).reshape(-1), bits)


def on_grid(channel: np.ndarray, top: int = 127) -> tuple[float, np.ndarray] | None:
    """(scale, integers) with scale * integers == channel exactly and a float16 scale, the coarsest such grid; or None."""
    largest = float(np.abs(channel).max(initial=0.0))
    if largest == 0:
        return 1.0, np.zeros(channel.shape, np.int64)
    for steps in range(1, top + 1):
        scale = np.float32(np.float16(largest / steps))
        if scale == 0:
            return None
        q = np.round(channel / scale)
        if np.array_equal(q.astype(np.float32) * scale, channel):
            return float(scale), q.astype(np.int64)
    return None


def fits_half(values: np.ndarray) -> bool:
    """Whether float16 holds every value exactly."""
    with np.errstate(over="ignore"):
        return bool(np.array_equal(values.astype(np.float16).astype(np.float32), values))


def pack_bits(indices: np.ndarray, bits: int) -> bytes:
    """Indices (n,) as a stream of `bits` bits each, the last byte filled with zeros; nothing for 0 bits."""
    spread = (indices[:, None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(spread.astype(np.uint8).reshape(-1)).tobytes()


def unpack_bits(raw: bytes, bits: int, n: int) -> np.ndarray:
    """The `n` indices of such a stream."""
    if bits == 0:
        return np.zeros(n, np.int64)
    spread = np.unpackbits(np.frombuffer(raw, np.uint8), count=n * bits).reshape(n, bits).astype(np.int64)
    return spread @ (1 << np.arange(bits - 1, -1, -1))


def decode(raw: bytes, start: int, shape: tuple[int, ...]) -> tuple[np.ndarray, int]:
    """The float32 array whose record starts at `start`, and where the next record starts."""
    form, bits = struct.unpack_from("<BB", raw, start)
    n, start = int(np.prod(shape)), start + 2
    if form in (FLOAT32, FLOAT16):
        dtype = np.dtype(np.float16 if form == FLOAT16 else np.float32)
        return np.frombuffer(raw, dtype, n, start).astype(np.float32).reshape(shape), start + n * dtype.itemsize
    dtype = np.dtype(np.float32 if form == CODEBOOK32 else np.float16)
    n_levels = shape[0] if form == GRID else raw[start] + 1
    start += form != GRID
    levels, start = np.frombuffer(raw, dtype, n_levels, start).astype(np.float32), start + n_levels * dtype.itemsize
    n_bytes = (n * bits + 7) // 8
    indices = unpack_bits(raw[start : start + n_bytes], bits, n)
    if form == GRID:
        values = (indices - (2 ** (bits - 1) - 1)).reshape(n_levels, -1).astype(np.float32) * levels[:, None]
    else:
        values = levels[indices]
    return values.reshape(shape), start + n_bytes
