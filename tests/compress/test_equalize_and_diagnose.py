"""Equalized channels and corrected biases, and the detector of what few bits have broken."""

from __future__ import annotations

import pytest
import torch
from uneven_networks import uneven_ds_cnn

from edgebook import affine, rows
from edgebook.compress.quantize import diagnose
from edgebook.compress.quantize.equalize import correct_bias, equalize, pairs
from edgebook.errors import Unsupported
from edgebook.models import build_model
from edgebook.models.batch_norm import foldable, folded_weights
from edgebook.runtimes.base import Quant, runtime
from edgebook.runtimes.quiet import quiet
from edgebook.tasks import load_task
from edgebook.training.batch_norm_statistics import reestimate_batch_norm
from edgebook.training.loop import infer, seed_all


@pytest.fixture(scope="module")
def task():
    return load_task("digits")


@pytest.fixture(scope="module")
def net(task):
    """An untrained ds_cnn whose batch-norm statistics are not the identity, as training would leave them."""
    return uneven_ds_cnn(task)


def test_equalization_computes_the_same_with_even_channels(net, task):
    even, x = equalize(net, task), task.x_test[:50]
    assert torch.allclose(infer(even, x), infer(net, x), atol=1e-3)
    first, _, second = pairs(net)[0]
    w = folded_weights(even)
    r1, r2 = w[first].abs().flatten(1).amax(1), w[second].abs().flatten(1).amax(1)  # the second is depthwise
    assert torch.allclose(r1, r2, rtol=0.05)
    worst = [min(row["sqnr_db"] for row in diagnose.layer_report(model)) for model in (net, even)]
    assert worst[1] > worst[0]
    with pytest.raises(Unsupported, match="no two layers") as caught:
        equalize(build_model("gru", task.input_shape, task.n_outputs), task)
    assert caught.value.code == "structure"


class Functional(torch.nn.Module):
    """Two layers joined by a function."""

    def __init__(self, function):
        super().__init__()
        self.first, self.second, self.function = torch.nn.Conv2d(1, 4, 3), torch.nn.Conv2d(4, 6, 3), function
        self.slopes, self.head = torch.nn.Parameter(torch.rand(4)), torch.nn.Linear(96, 10)

    def forward(self, x):
        return self.head(self.second(self.function(self.first(x), self.slopes)).flatten(1))


@pytest.mark.parametrize(
    "function",
    [
        lambda x, slopes: torch.relu(x),
        lambda x, slopes: x.relu(),
        lambda x, slopes: torch.nn.functional.leaky_relu(x),
        lambda x, slopes: torch.nn.functional.prelu(x, slopes),
    ],
    ids=["relu", "method", "leaky", "prelu"],
)
def test_whatever_passes_a_scale_is_equalized(function, task):
    seed_all(0)
    model = Functional(function)
    model.first.weight.data *= torch.tensor([0.01, 1.0, 3.0, 20.0]).reshape(-1, 1, 1, 1)
    assert [(first, second) for first, _, second in pairs(model)] == [("first", "second")]
    even = equalize(model, task)
    ranges = even.first.weight.abs().flatten(1).amax(1) / even.second.weight.abs().amax((0, 2, 3))
    torch.testing.assert_close(ranges, torch.ones(4), rtol=0.05, atol=0)
    module = torch.nn.Sequential(model.first, torch.nn.PReLU(4), model.second, torch.nn.Flatten(), model.head)
    assert [(first, second) for first, _, second in pairs(module)] == [("0", "2")]


def test_bias_correction_takes_back_the_mean_error(task):
    seed_all(0)
    model = build_model("mlp", task.input_shape, task.n_outputs).eval()
    first = next(layer for layer in model.modules() if isinstance(layer, torch.nn.Linear))
    fixed = correct_bias(model, task, bits=3, n_items=len(task.x_train))
    other = next(layer for layer in fixed.modules() if isinstance(layer, torch.nn.Linear))
    x, rounded = task.x_train.flatten(1), affine.round_trip(first.weight.detach(), bits=3)
    want = torch.nn.functional.linear(x, first.weight, first.bias).mean(0)
    assert torch.allclose(torch.nn.functional.linear(x, rounded, other.bias).mean(0), want, atol=1e-4)


@torch.no_grad()
def with_uneven_channels(net):
    """The same function with channel ranges that differ by up to a factor of 1000 on both sides of every ReLU."""
    spoilt, draw = reestimate_batch_norm(net, load_task("digits"), n_items=256), torch.Generator().manual_seed(0)
    for _, norm, second in pairs(spoilt):
        behind, norm = spoilt.get_submodule(second), spoilt.get_submodule(norm)
        s = 10 ** (3 * torch.rand(len(norm.weight), generator=draw) - 1.5)
        norm.weight.mul_(s)
        norm.bias.mul_(s)
        depthwise = getattr(behind, "groups", 1) > 1
        behind.weight.div_(s.reshape(-1 if depthwise else 1, 1 if depthwise else -1, *[1] * (behind.weight.ndim - 2)))
    return spoilt


def test_per_tensor_int8_collapses_on_uneven_depthwise_channels_and_two_remedies_work(net, task, tmp_path):
    spoilt, onnx = with_uneven_channels(net), runtime("onnx")
    whole = infer(spoilt, task.x_test).numpy()
    cases = {"tensor": (spoilt, "tensor"), "channel": (spoilt, "channel"), "equalized": (equalize(spoilt, task), "tensor")}
    lost = {}
    for name, (model, granularity) in cases.items():
        with quiet():
            export = onnx.side("export")
            export.convert(model, task.x_train[:1], tmp_path / "float.onnx")
            quant = Quant(granularity=granularity)
            export.quantize(tmp_path / "float.onnx", tmp_path / "int8.onnx", quant, task.x_train[:128].numpy())
        program = onnx.side("load").load(tmp_path / "int8.onnx", threads=1, shape=task.input_shape)
        outputs = program.predict(task.x_test.numpy())
        lost[name] = ((outputs - whole).var(0) / whole.var(0)).mean()  # 1: nothing of the outputs is left
    assert lost["tensor"] > 0.3
    assert lost["channel"] > 0.3  # the activations still share one scale per layer: finer weights alone do not help here
    assert lost["equalized"] < lost["tensor"] / 10


class CalledTwice(torch.nn.Module):
    """Two layers joined by a ReLU; the first is called a second time, where tracing of its first call does not look."""

    def __init__(self):
        super().__init__()
        self.first, self.act, self.second = torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)

    def forward(self, x):
        x = x.flatten(1)
        return self.second(self.act(self.first(torch.tanh(self.first(x)))))


def test_equalization_refuses_a_network_whose_outputs_it_would_change(task):
    seed_all(0)
    twice = CalledTwice().eval()
    twice.first.weight.data[0] *= 50
    assert pairs(twice)
    with pytest.raises(Unsupported, match="the outputs change") as caught:
        equalize(twice, task)
    assert caught.value.code == "fidelity"


def test_the_layer_report_names_the_layer_that_was_spoilt(net, task):
    spoilt = equalize(net, task)
    name = pairs(net)[0][2]
    spoilt.get_submodule(dict(foldable(spoilt))[name]).weight.data[0] *= 1000
    assert diagnose.layer_report(spoilt)[0]["layer"] == name
    row = quantized_row(score_lo=0.1, verdict="worse", agreement=0.2)
    line = diagnose.explain(row, spoilt)
    assert name in line
    assert "one scale per channel or equalization" in line
    assert diagnose.explain({**row, "verdict": "same", "agreement": 0.99}, spoilt) is None
    assert diagnose.explain({**row, "status": "unsupported"}, spoilt) is None
    assert "one scale per channel" not in diagnose.explain({**row, "asked": {"granularity": "channel"}}, spoilt)


def quantized_row(**values):
    usual = {"chance": 0.1, "margin": 0.005, "label": "int8", "runtime": "litert", "precision": "int8-static"}
    return rows.new_row(asked={"granularity": "tensor"}, **usual | values)


@pytest.mark.parametrize(
    ("values", "is_collapsed"),
    [
        ({"verdict": "worse", "score_lo": 0.09, "agreement": 0.95}, True),  # ten classes, at chance
        ({"verdict": "worse", "score_lo": 0.80, "agreement": 0.95}, False),  # worse, but the network is still there
        ({"verdict": "worse", "score_lo": 0.30, "agreement": 0.60}, True),  # another network
        ({"verdict": "same", "score_lo": 0.90, "agreement": 0.85}, False),  # no loss, whatever the agreement
        ({"verdict": "cannot tell", "score_lo": 0.09, "agreement": 0.95}, False),
        ({"chance": 0.5, "verdict": "same", "score_lo": 0.97, "agreement": 0.99}, False),  # two classes: 2 / n_outputs is 1
        (
            {"chance": 0.95, "verdict": "worse", "score_lo": 0.94, "agreement": 0.96},
            True,
        ),  # two uneven classes, a constant answer
        (
            {"chance": -40.0, "margin": 1.0, "verdict": "worse", "score_lo": -41.0, "agreement": 0.0},
            True,
        ),  # an error in some unit
        ({"chance": -40.0, "margin": 1.0, "verdict": "worse", "score_lo": -12.0, "agreement": 0.95}, False),
        ({"verdict": None, "score_lo": None, "agreement": None}, False),
    ],
)
def test_what_has_collapsed(values, is_collapsed):
    assert diagnose.collapsed(quantized_row(**values)) is is_collapsed


def test_notes_list_collapsed_files_and_flags_or_say_that_there_are_none(net):
    fine = quantized_row(verdict="same", score_lo=0.9, agreement=0.99)
    assert diagnose.notes([fine], net) == ["no file collapsed, none is slower or larger than the float file of its runtime"]
    flagged = {**fine, "extra": {"flags": ["quantized but slower here"]}}
    broken = quantized_row(verdict="worse", score_lo=0.1, agreement=0.2)
    lines = diagnose.notes([fine, flagged, broken], net)
    assert len(lines) == 2
    assert lines[0].startswith("int8 in litert: collapsed, agreement with the float network 20.0%")
    assert lines[1] == "int8 in litert: quantized but slower here"


def test_no_weight_comes_back_more_than_half_a_step_wrong(net):
    errors = diagnose.rounding_errors(net, bits=[8, 4, 2])
    assert [entry["bits"] for entry in errors] == [8, 4, 2]
    assert all(0.5 < entry["error_in_half_steps"] <= 1 + 1e-4 and entry["as_pytorch"] for entry in errors)
    assert errors[1]["half_step"] == pytest.approx(errors[0]["half_step"] * 127 / 7)
    assert errors[0]["sqnr_db"] > errors[1]["sqnr_db"] + 15 > errors[2]["sqnr_db"] + 15  # about 6 dB per bit
