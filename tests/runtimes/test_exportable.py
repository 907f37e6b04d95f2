"""What exporters get: folded where that changes nothing, and never a network that depends on chance."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from edgebook.errors import Unsupported
from edgebook.runtimes.base import Quant
from edgebook.runtimes.export import export
from edgebook.runtimes.exportable import exportable

INT8 = "int8-static"
SPEC = {"model": "mlp", "input_shape": [1, 40], "n_outputs": 10, "shape": {}, "wrappers": []}
NETWORK = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, n_outputs, fold_by_hand):
        super().__init__()
        self.c1, self.n1, self.c2, self.n2 = nn.Conv1d(1, 16, 3), nn.BatchNorm1d(16), nn.Conv1d(16, 16, 3), nn.BatchNorm1d(16)
        self.head = nn.Linear(16, n_outputs)
        self.norms = (lambda n, x: x) if fold_by_hand else (lambda n, x: n(x))

    def forward(self, x):
        x = torch.relu(self.norms(self.n1, self.c1(x)))
        return self.head(torch.relu(self.norms(self.n2, self.c2(x))).mean(2))


def build(input_shape, n_outputs, fold_by_hand=False):
    return Net(n_outputs, fold_by_hand)
"""


@pytest.fixture
def own_network(tmp_path, monkeypatch):
    """A network in a file of the user's, with batch norm between a convolution and an activation as a function, or without."""
    from edgebook.models import allow_network, build_model

    monkeypatch.setenv("EDGEBOOK_NETWORKS", "")
    (tmp_path / "net.py").write_text(NETWORK)
    allow_network(f"{tmp_path}/net.py:build")
    return lambda **shape: build_model(f"{tmp_path}/net.py:build", (1, 40), 10, **shape).eval()


@pytest.mark.parametrize("quant", [None, Quant(n_calibration=16)], ids=["fp32", "int8"])
def test_an_own_network_has_no_batch_norm_left_in_its_files(quant, own_network, mnist1d, tmp_path):
    from edgebook.runtimes.litert.flatbuffer import operators

    nets = own_network(), own_network(fold_by_hand=True)
    files = [export(net, mnist1d, tmp_path / f"{n}", runtime="litert", quant=quant) for n, net in enumerate(nets)]
    assert files[0].size_bytes == files[1].size_bytes
    assert operators(files[0].path.read_bytes()) == operators(files[1].path.read_bytes())


class UsesItsNorm(nn.Module):
    """Folding would take the batch norm away whose weight the forward reads as well."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv1d(1, 4, 3), nn.BatchNorm1d(4)

    def forward(self, x):
        return self.norm(self.conv(x)).mean(2) * self.norm.weight


class Aliased(nn.Module):
    """One convolution under two names: folding would change it under one of them only."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv1d(1, 1, 3, padding=1), nn.BatchNorm1d(1)
        self.other = self.conv
        self.norm.running_mean.fill_(0.5)
        self.norm.running_var.fill_(0.1)

    def forward(self, x):
        return self.norm(self.other(self.norm(self.conv(x))))


@pytest.mark.parametrize(("net", "says"), [(UsesItsNorm(), "AttributeError"), (Aliased(), "the outputs change by up to")])
def test_where_folding_would_change_the_outputs_it_is_undone_and_said(net, says, mnist1d):
    made, columns = exportable(net, mnist1d.x_train, folds=True)
    assert says in columns["extra"]["not_folded"]
    with torch.inference_mode():
        assert torch.equal(made(mnist1d.x_val), net.eval()(mnist1d.x_val))
    assert any(isinstance(module, nn.BatchNorm1d) for module in made.modules())


class Branches(nn.Module):
    """Its answer takes one of two ways, by the item."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(40, 10)

    def forward(self, x):
        return self.head(x.flatten(1)) if x.sum() > 0 else self.head(-x.flatten(1))


class Packed(nn.Module):
    """Zeros at the end are no part of a sequence, as recurrent networks are often written."""

    def __init__(self):
        super().__init__()
        self.gru, self.head = nn.GRU(1, 4, batch_first=True), nn.Linear(4, 10)

    def forward(self, x):
        lengths = (x != 0).sum((1, 2)).clamp(min=1).cpu()
        steps = nn.utils.rnn.pack_padded_sequence(x.transpose(1, 2), lengths, batch_first=True, enforce_sorted=False)
        return self.head(self.gru(steps)[1][-1])


@pytest.mark.parametrize("runtime", ["onnx", "litert"])
@pytest.mark.parametrize("net", [Branches(), Packed()], ids=["branch", "size"])
def test_a_network_whose_forward_depends_on_the_item_is_refused_in_plain_words(net, runtime, mnist1d, tmp_path):
    net.spec = SPEC
    with pytest.raises(Unsupported, match=f"^{runtime}: a size or a branch in the forward depends on the item") as caught:
        export(net, mnist1d, tmp_path / "x", runtime=runtime)
    assert caught.value.code == "structure"
    assert "\n" not in str(caught.value)


class Random(nn.Module):
    """Draws random numbers in evaluation too."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(40, 10)

    def forward(self, x):
        return self.head(nn.functional.dropout(x.flatten(1), 0.1, training=True))


@pytest.mark.parametrize("runtime", ["onnx", "litert", "executorch", "torch"])
def test_a_network_that_depends_on_chance_is_refused(runtime, mnist1d, tmp_path):
    net = Random()
    net.spec = SPEC
    with pytest.raises(Unsupported, match="gives other outputs each time") as caught:
        export(net, mnist1d, tmp_path / "x", runtime=runtime)
    assert caught.value.code == "fidelity"


class NormOfMaps(nn.Module):
    """A normalization over the channels and the steps of its maps."""

    spec = SPEC

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv1d(1, 4, 5, stride=2), nn.LayerNorm((4, 18)), nn.Linear(72, 10)

    def forward(self, x):
        return self.head(self.norm(self.conv(x)).flatten(1))


def test_a_norm_that_onnx_runtimes_tool_cannot_take_names_a_remedy_that_works(mnist1d, tmp_path):
    def int8(**settings):
        return export(NormOfMaps(), mnist1d, tmp_path / "n", runtime="onnx", quant=Quant(INT8, n_calibration=16, **settings))

    with pytest.raises(Unsupported, match="no int8-static per channel for LayerNormalization over several") as refused:
        int8()
    assert (refused.value.code, refused.value.operator) == ("operator", "LayerNormalization")
    (node,) = re.findall(r"per_layer: {'(.*)': fp32}", str(refused.value))
    for remedy in ({"granularity": "tensor"}, {"per_layer": ((node, "fp32"),)}):
        assert int8(**remedy).path.is_file()


def test_whatever_onnx_runtimes_tool_raises_is_unsupported(net, mnist1d, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise KeyError("tensor_17")

    monkeypatch.setattr("onnxruntime.quantization.quantize_static", fail)
    with pytest.raises(Unsupported, match=r"onnx: its quantization tool fails .*tensor_17.*; allowed: int8-dynamic") as refused:
        export(net, mnist1d, tmp_path / "n", runtime="onnx", quant=Quant(INT8, n_calibration=17))
    assert refused.value.code == "algorithm"


class Dead(nn.Module):
    """A ReLU that lets nothing through."""

    spec = SPEC

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv1d(1, 8, 5), nn.Linear(8, 10)
        nn.init.constant_(self.conv.bias, -1000)

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).mean(2))


def test_a_dead_layer_that_litert_refuses_names_a_remedy_that_works(mnist1d, tmp_path):
    def int8(**settings):
        return export(Dead(), mnist1d, tmp_path / "n", runtime="litert", quant=Quant(INT8, n_calibration=16, **settings))

    with pytest.raises(Unsupported, match=r"litert refuses it: \w*CONV_2D") as refused:
        int8()
    (layer,) = re.findall(r"per_layer: {'(.*)': fp32}", str(refused.value))
    assert int8(per_layer=((layer, "fp32"),)).path.is_file()
