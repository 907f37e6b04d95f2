"""Fake quantization: ranges that follow training only, integers that agree, a spec that rebuilds it, also of a pruned network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgebook.errors import Unsupported
from edgebook.models import build_model, rebuild
from edgebook.models.fake_quantized import prepare
from edgebook.models.structure import describe


@pytest.fixture(scope="module")
def net():
    """A conv1d that lost channels, after a few passes in training mode."""
    torch.manual_seed(0)
    float_net = build_model("conv1d", (1, 40), 10)
    tp = pytest.importorskip("torch_pruning")
    example, head = torch.zeros(1, 1, 40), [module for module in float_net.modules() if isinstance(module, nn.Linear)]
    tp.pruner.BasePruner(
        float_net, example, tp.importance.MagnitudeImportance(), pruning_ratio=0.5, ignored_layers=head[-1:]
    ).step()
    prepared = prepare(float_net).train()
    for _ in range(3):
        prepared(torch.randn(16, 1, 40))
    return prepared.eval()


def test_ranges_move_in_training_only(net):
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with torch.no_grad():
        net(100 * torch.randn(4, 1, 40))
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_integers_agree_with_the_rounding(net):
    x = torch.randn(50, 1, 40)
    with torch.no_grad():
        rounded, integers = net(x), net.integers(fold=True)(x)
    assert (rounded - integers).abs().max() < 0.1 * rounded.std()


def test_a_spec_rebuilds_it_at_its_size(net):
    again = rebuild(net.spec, describe(net))
    again.load_state_dict(net.state_dict())
    x = torch.randn(8, 1, 40)
    with torch.no_grad():
        assert torch.equal(again(x), net(x))


def test_what_cannot_be_rounded_says_why():
    with pytest.raises(Unsupported, match="recurrent layers in float") as caught:
        prepare(build_model("gru", (1, 40), 10))
    assert caught.value.code == "structure"
    odd = build_model("ds_cnn", (1, 8, 8), 10)
    next(module for module in odd.modules() if isinstance(module, nn.BatchNorm2d)).eps = 1e-3
    with pytest.raises(Unsupported, match=r"eps 1e-05 only, not 0\.001"):
        prepare(odd)
