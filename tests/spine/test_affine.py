"""The arithmetic of linear quantization, against PyTorch's."""

import pytest
import torch

from edgebook import affine
from edgebook.errors import BadInput


def test_affine_matches_pytorch():
    x = torch.randn(500, generator=torch.Generator().manual_seed(0))
    scale, zero = affine.qparams(*affine.ranges(x), bits=8, symmetric=False)
    ours = affine.quantize(x, scale, zero, bits=8, symmetric=False)
    theirs = torch.quantize_per_tensor(x, scale.item(), zero.item(), torch.qint8)
    assert torch.equal(ours, theirs.int_repr().int())
    assert torch.allclose(affine.dequantize(ours, scale, zero), theirs.dequantize())


def test_affine_per_channel_matches_fake_quantize():
    w = torch.randn(6, 3, 3, generator=torch.Generator().manual_seed(1))
    scale, zero = affine.qparams(*affine.ranges(w, axis=0), bits=4, symmetric=True)
    theirs = torch.fake_quantize_per_channel_affine(w, scale, zero, 0, -7, 7)
    assert torch.allclose(affine.round_trip(w, bits=4, axis=0), theirs)


@pytest.mark.parametrize("symmetric", [True, False])
def test_rounding_error_is_at_most_half_a_step_and_falls_with_bits(symmetric):
    w, last = torch.randn(40, 20, generator=torch.Generator().manual_seed(2)), float("inf")
    for bits in range(2, 13):
        scale, _ = affine.qparams(*affine.ranges(w), bits=bits, symmetric=symmetric)
        error = affine.round_trip(w, bits=bits, symmetric=symmetric) - w
        assert error.abs().max() <= scale / 2 * 1.01  # asymmetric zero points are rounded too
        assert error.square().mean() < last
        last = error.square().mean()
    assert torch.equal(affine.round_trip(w, bits=32), w)


def test_affine_refuses_what_it_cannot_round():
    with pytest.raises(BadInput, match="bits = 1"):
        affine.limits(1, symmetric=True)
    with pytest.raises(BadInput, match="NaN"):
        affine.round_trip(torch.tensor([1.0, float("nan")]), bits=8)
    assert torch.equal(affine.round_trip(torch.zeros(5), bits=4), torch.zeros(5))  # a constant layer
