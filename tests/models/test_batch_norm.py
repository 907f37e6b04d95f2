"""Batch norm folded, as scale and shift, and in a spec: the same outputs every time."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgebook.models import build_model, rebuild
from edgebook.models.batch_norm import fold, foldable, folded_weights, following, scale_and_shift, without_statistics
from edgebook.models.structure import describe

MODELS = [("resnet8", {}), ("mobilenet_v2", {"width": 0.25}), ("ds_cnn", {})]


def trained(name, shape):
    """A network whose batch norms are neither at zero nor at one, as after training."""
    torch.manual_seed(0)
    net = build_model(name, (1, 16, 16), 10, **shape).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 2)
            module.bias.data.uniform_(-1, 1)
    return net


@pytest.mark.parametrize(("name", "shape"), MODELS)
def test_folding_changes_nothing_but_the_layers(name, shape):
    net = trained(name, shape)
    x, before = torch.randn(4, 1, 16, 16), repr(net)
    folded = fold(net)
    with torch.inference_mode():
        assert (folded(x) - net(x)).abs().max() < 1e-4 * net(x).abs().max()
    assert repr(net) == before, "the input was changed"
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    again = rebuild(folded.spec, describe(folded))
    again.load_state_dict(folded.state_dict())
    assert torch.equal(again(x), folded(x))


@pytest.mark.parametrize(("name", "shape"), MODELS)
def test_folded_weights_are_those_of_the_folded_network(name, shape):
    net = trained(name, shape)
    folded = fold(net)
    for layer, weight in folded_weights(net).items():
        torch.testing.assert_close(weight, folded.get_submodule(layer).weight)


def test_scale_and_shift_are_batch_norm():
    norm = nn.BatchNorm1d(3).eval()
    norm.running_mean.copy_(torch.tensor([1.0, -2.0, 0.5]))
    norm.running_var.copy_(torch.tensor([0.3, 4.0, 1.0]))
    norm.weight.data.copy_(torch.tensor([2.0, 0.1, -1.0]))
    plain = nn.BatchNorm1d(3, affine=False).eval()
    x = torch.randn(8, 3)
    for module in (norm, plain):
        scale, shift = scale_and_shift(module)
        torch.testing.assert_close(module(x), x * scale + shift)


@pytest.mark.parametrize(("name", "shape"), MODELS)
def test_without_statistics_computes_the_same(name, shape):
    net = trained(name, shape)
    x, plain = torch.randn(4, 1, 16, 16), without_statistics(net)
    with torch.inference_mode():
        torch.testing.assert_close(plain(x), net(x), rtol=1e-4, atol=1e-4)
    norms = [module for module in plain.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert not any(norm.running_mean.any() for norm in norms)


class Shared(nn.Module):
    """Its convolution's output is read twice."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 1, 3), nn.BatchNorm2d(1)

    def forward(self, x):
        y = self.conv(x)
        return self.norm(y) + y


class Branching(Shared):
    """Cannot be traced."""

    def forward(self, x):
        return self.norm(self.conv(x)) if x.sum() > 0 else x


@pytest.mark.parametrize("net", [Shared(), Branching(), nn.Sequential(nn.Linear(2, 2), nn.ReLU())])
def test_nothing_to_fold(net):
    assert foldable(net.eval()) == []


def test_batch_norm_without_running_statistics_is_left_alone():
    net = nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2, track_running_stats=False)).eval()
    assert foldable(net) == []


def test_following_ends_where_something_else_reads():
    net = nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2), nn.ReLU(), nn.Conv1d(2, 2, 3))
    assert following(net) == {"0": ["1", "2", "3"], "3": []}
    assert following(Shared()) == {"conv": []}
