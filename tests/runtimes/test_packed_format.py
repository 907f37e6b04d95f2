"""The packed format: any array comes back exactly, in the bytes that were published."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from edgebook.runtimes.packed.format import decode, encode, pack_bits, stored_bits, unpack_bits

SHAPES = array_shapes(min_dims=1, max_dims=4, max_side=5)
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def exactly(record: bytes, values: np.ndarray) -> bool:
    decoded, end = decode(record, 0, values.shape)
    return end == len(record) and decoded.dtype == np.float32 and np.array_equal(decoded, values)


@given(arrays(np.float32, SHAPES, elements=FLOATS))
def test_any_array_comes_back(values):
    assert exactly(encode(values), values)


@given(st.lists(FLOATS, min_size=1, max_size=300, unique=True).map(lambda levels: np.array(levels, np.float32)), st.data())
def test_shared_weights_come_back(levels, data):
    values = levels[data.draw(arrays(np.int64, (40, 12), elements=st.integers(0, len(levels) - 1)))]
    assert exactly(encode(values), values)


@given(arrays(np.int64, (4, 30), elements=st.integers(-127, 127)), arrays(np.float16, 4, elements=st.floats(2**-10, 4, width=16)))
def test_integers_with_one_scale_per_channel_come_back(integers, scales):
    values = integers.astype(np.float32) * scales.astype(np.float32)[:, None]
    assert exactly(encode(values), values)
    assert len(encode(values)) <= 2 + 2 * 4 + 4 * 30  # 8 bits each and the scales, or less


@given(st.integers(0, 8), st.data())
def test_bit_streams_come_back(bits, data):
    indices = data.draw(arrays(np.int64, st.integers(1, 50), elements=st.integers(0, 2**bits - 1)))
    raw = pack_bits(indices, bits)
    assert len(raw) == -(-len(indices) * bits // 8)
    assert np.array_equal(unpack_bits(raw, bits, len(indices)), indices)


@given(st.lists(arrays(np.float32, SHAPES, elements=FLOATS), min_size=1, max_size=4))
def test_records_follow_each_other(tensors):
    raw, start = b"".join(encode(tensor) for tensor in tensors), 0
    for tensor in tensors:
        decoded, start = decode(raw, start, tensor.shape)
        assert np.array_equal(decoded, tensor)
    assert start == len(raw)


# files that were written must stay readable: form, bits, then the data, written out by hand
GOLDEN = {
    "float32": ([0.1, 0.2], "00 00  cdcccc3d cdcc4c3e", ("float", 32)),
    "float16": ([0.5, -2.0], "01 00  0038 00c0", ("float", 16)),
    "one value": ([0.1] * 20, "02 00 00  cdcccc3d", ("codebook", 0)),
    "codebook, float32": ([0.1, 0.2] * 12, "02 01 01  cdcccc3d cdcc4c3e  55 55 55", ("codebook", 1)),
    "codebook, float16": ([0.0, 1.0, 2.0] * 4, "03 02 02  0000 003c 0040  18 61 86", ("codebook", 2)),
    "grid": (
        [[0.5 * q for q in (-3, -2, -1, 0, 1, 2, 3, 3)], [0.75 * q for q in (3, 2, 1, 0, -1, -2, -3, -3)]],
        "04 03  0038 003a  053976d63440",
        ("int", 3),
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_records(name):
    values, written, stored = GOLDEN[name]
    values, record = np.array(values, np.float32), bytes.fromhex(written)
    assert encode(values).hex(" ") == record.hex(" ")
    assert exactly(record, values)
    assert stored_bits(record) == stored
