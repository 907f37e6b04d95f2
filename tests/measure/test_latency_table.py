"""The table of layer times: layers by hand, and a fit that predicts the times of a known machine."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from torch import nn

from edgebook.errors import BadInput, Unsupported
from edgebook.measure.latency_table import LatencyTable, Layer, error_report, fit, layers_of, predict
from edgebook.models import build_model
from edgebook.models.macs import count_macs
from edgebook.models.searched import searched
from edgebook.search.space import Space

SPACE = Space((1, 28, 28), n_blocks=(1, 4))


@pytest.fixture(scope="module")
def nets():
    rng = np.random.default_rng(0)
    lines = [str(SPACE.decode(SPACE.sample(rng))) for _ in range(60)]
    return [layers_of(searched((1, 28, 28), 10, genotype=line), (1, 28, 28)) for line in lines]


def machine(layers, block=16):
    """A machine whose time is known: a call per file and per operator, and work in whole blocks of output channels."""
    us = 1.0
    for layer in layers:
        whole = -(-layer.c_out // block) * block
        outputs = {"conv": layer.n_out * layer.c_out, "depthwise": layer.n_out * whole, "dense": 0}
        copied = max(layer.n_in * layer.c_in, layer.n_out * layer.c_out)
        macs = {"conv": layer.c_in * whole, "depthwise": whole, "dense": layer.c_in * whole}.get(layer.kind, 0)
        us += 0.1 + 1e-4 * outputs.get(layer.kind, copied) + 2e-5 * layer.n_out * layer.kernel * macs
    return us / 1000


def test_layers_by_hand():
    net = searched((1, 28, 28), 10, genotype="stem 8k5s2 | ds 16k3s1 | plain 16k3s1 +skip | fire 24k3s2 | pool")
    assert layers_of(net, (1, 28, 28)) == [
        Layer("pad", 1, 1, 1, 28 * 28, 32 * 32),  # 2 before and 2 behind, where "same" at stride 2 has 1 and 2
        Layer("conv", 1, 8, 25, 28 * 28, 14 * 14),
        Layer("depthwise", 8, 8, 9, 14 * 14, 14 * 14),
        Layer("conv", 8, 16, 1, 14 * 14, 14 * 14),
        Layer("conv", 16, 16, 9, 14 * 14, 14 * 14),
        Layer("add", 16, 16, 1, 14 * 14, 14 * 14),
        Layer("conv", 16, 6, 1, 14 * 14, 14 * 14),
        Layer("conv", 6, 12, 1, 14 * 14, 7 * 7),
        Layer("pad", 6, 6, 1, 14 * 14, 16 * 16),
        Layer("conv", 6, 12, 9, 14 * 14, 7 * 7),
        Layer("cat", 24, 24, 1, 7 * 7, 7 * 7),
        Layer("pool", 24, 24, 1, 7 * 7, 1),
        Layer("dense", 24, 10),
    ]


def test_a_flat_head_turns_the_map_and_a_sequence_is_a_row():
    layers = layers_of(searched((1, 40), 10, genotype="stem 8k5s2 | flat"), (1, 40))
    assert layers == [
        Layer("pad", 1, 1, 1, 40, 44),
        Layer("conv", 1, 8, 5, 40, 20),
        Layer("transpose", 8, 8, 1, 20, 20),
        Layer("dense", 160, 10),
    ]


@pytest.mark.parametrize(
    ("name", "input_shape"),
    [("resnet8", (3, 32, 32)), ("ds_cnn", (1, 28, 28)), ("conv1d", (1, 40)), ("squeezenet", (1, 28, 28)), ("mlp", (1, 28, 28))],
)
def test_the_layers_of_every_feed_forward_model_have_its_macs(name, input_shape):
    net = build_model(name, input_shape, 10).train()
    macs = 0
    for layer in layers_of(net, input_shape):
        per_output = {"conv": layer.c_in * layer.kernel, "depthwise": layer.kernel, "dense": layer.c_in}.get(layer.kind, 0)
        macs += layer.n_out * layer.c_out * per_output
    assert macs == count_macs(net, input_shape)
    assert net.training


def test_a_known_machine_is_predicted(nets):
    table = fit(nets[:40], [machine(net) for net in nets[:40]])
    assert table.block_out == 16
    report = error_report(table, nets[40:], [machine(net) for net in nets[40:]])
    assert report["n"] == 20
    assert report["worst"] < 1e-3
    assert table.worst_error < 0.01
    assert predict(table, nets[0]) == pytest.approx(machine(nets[0]), rel=0.01)


def test_noise_shows_in_the_errors(nets):
    noisy = np.array([machine(net) for net in nets]) * np.random.default_rng(0).lognormal(0, 0.1, len(nets))
    table = fit(nets[:40], noisy[:40])
    report = error_report(table, nets[40:], noisy[40:])
    assert 0.03 < table.median_error < 0.15
    assert 0.03 < report["median"] < 0.15
    assert report["p90"] <= report["worst"]


def test_errors_by_hand():
    table = LatencyTable({"file": 1.0, "dense": 0.0, "dense.macs": 0.1}, 1, 1, 10, 0.0, 0.0)
    nets = [[Layer("dense", 10, 1)], [Layer("dense", 20, 1)], [Layer("dense", 10, 4)]]  # 2, 3, 5 ms
    report = error_report(table, nets, [2.0, 2.0, 10.0])
    assert report == pytest.approx({"median": 0.5, "p90": 0.5, "worst": 0.5, "bias": 0.0, "n": 3})


def test_the_table_survives_json(nets):
    table = fit(nets[:20], [machine(net) for net in nets[:20]])
    assert LatencyTable(**json.loads(json.dumps(asdict(table)))) == table


def test_what_the_table_does_not_know_is_refused(nets):
    with pytest.raises(Unsupported, match="operator sigmoid"):
        layers_of(nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.Sigmoid()), (1, 2, 2))
    times = [machine(net) for net in nets]
    dense_only = [[Layer("dense", n, n)] for n in range(1, 13)]
    with pytest.raises(Unsupported, match="fitted without"):
        predict(fit(dense_only, np.arange(1.0, 13.0)), nets[0])
    for bad_nets, bad_times in ((nets[:9], times[:9]), (nets[:12], times[:11]), (nets[:12], [0.0, *times[1:12]])):
        with pytest.raises(BadInput):
            fit(bad_nets, bad_times)
    assert torch.is_grad_enabled()
