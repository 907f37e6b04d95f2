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


class Mode(nn.Module):
    """Does something else in training than in evaluation, and something at chance in both where it is told to."""

    def __init__(self, *, always=""):
        super().__init__()
        self.conv, self.norm, self.drop = nn.Conv1d(1, 8, 3), nn.BatchNorm1d(8), nn.Dropout1d(0.5)
        self.head, self.always = nn.Linear(8, 10), always
        self.spec = {"input_shape": [1, 40], "wrappers": []}

    def forward(self, x):
        if self.training:
            x = x + torch.randn_like(x)
        x = self.drop(torch.relu(self.norm(self.conv(x)))).mean(2)
        if self.always == "dropout":
            x = nn.functional.dropout(x, 0.1, training=True)
        elif self.always == "noise":
            x = x + torch.rand(x.shape)
        return self.head(x) if not self.training else torch.sinh(self.head(x))


def test_only_batch_norm_and_dropout_act_in_training():
    torch.manual_seed(0)
    model, x = Mode().eval(), torch.randn(64, 1, 40)
    net = prepare(model).train()
    operators = [str(node.target) for node in net.graph.graph.nodes]
    assert not [name for name in operators if "rand" in name or "sinh" in name]
    first, second = (net(x) for _ in range(2))
    assert not torch.equal(first, second), "dropout is on"
    assert model.norm.running_mean.abs().max() == 0, "the input is left alone"
    net.freeze()
    net.eval()
    with torch.no_grad():
        assert torch.equal(net(x), net(x))
        assert torch.equal(net.integers(fold=True)(x), net.integers(fold=True)(x))
    moved = [tensor for name, tensor in net.state_dict().items() if name.endswith("running_mean")]
    assert [bool(mean.abs().max() > 0) for mean in moved] == [True]


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (Mode(always="dropout"), r"aten\.dropout\.default in Mode acts as in training"),
        (Mode(always="noise"), r"aten\.rand\.default in Mode acts as in training"),
        (nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2, track_running_stats=False)), "in BatchNorm1d 1 acts"),
    ],
)
def test_a_network_that_acts_as_in_training_in_evaluation_too_is_refused_by_name(model, says):
    model.spec = {"input_shape": [1, 40], "wrappers": []}
    with pytest.raises(Unsupported, match=says) as caught:
        prepare(model)
    assert caught.value.code == "fidelity"


def test_what_cannot_be_rounded_says_why():
    with pytest.raises(Unsupported, match="recurrent layers in float") as caught:
        prepare(build_model("gru", (1, 40), 10))
    assert caught.value.code == "structure"


@pytest.mark.parametrize("eps", [1e-3, 1e-6])
def test_batch_norm_of_any_eps_computes_the_same(eps):
    """PT2E sets 1e-5 in every batch norm that it folds: where variances are small, that is another network."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, eps), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    model.spec = {"input_shape": [1, 8, 8], "wrappers": []}
    x = torch.randn(256, 1, 8, 8)
    model[0].weight.data *= 0.03
    model[1].momentum = None
    model.train()(x)
    expected = model.eval()(x)
    rounded = prepare(model).train()
    rounded(x)
    error = (rounded.eval()(x) - expected).std() / expected.std()
    assert error < 0.1
    model[1].running_var.zero_()
    if eps < 1e-5:
        with pytest.raises(Unsupported, match="eps 1e-05, which is above a variance here"):
            prepare(model)
