"""What each layer can spare, by validation and by the clock."""

import copy

import pytest
import torch

from edgebook.compress.prune import latency_aware as latency
from edgebook.compress.prune.channels import prune
from edgebook.compress.prune.dependency_groups import prunable
from edgebook.compress.prune.latency_aware import prune_evenly_to_latency, prune_to_latency
from edgebook.compress.prune.sensitivity import layer_ratios, ratios_for_macs, scan, table
from edgebook.errors import BadInput, Unsupported
from edgebook.models import build_model
from edgebook.models.macs import count_macs
from edgebook.tasks import load_task
from edgebook.training.loop import evaluate, infer, train


@pytest.fixture(scope="module")
def signals():
    return load_task("mnist1d")


@pytest.fixture(scope="module")
def model(signals):
    torch.manual_seed(0)
    return train(build_model("conv1d", (1, 40), 10), signals, epochs=8)


@pytest.fixture(scope="module")
def scanned(model, signals):
    return scan(model, signals, ratios=[0.3, 0.6])


def test_a_scan_scores_each_layer_alone(model, signals, scanned):
    assert len(scanned) == 3 * 3
    assert {row["val_score"] for row in scanned if row["asked"]["pruning_ratio"] == 0} == {
        evaluate(model, signals.x_val, signals.y_val)
    }
    row = next(row for row in scanned if row["asked"] == {"layer": "features.2", "pruning_ratio": 0.6})
    alone = prune(model, signals, layer_ratios={"features.2": 0.6}, round_to=1)
    assert row["val_score"] == evaluate(alone, signals.x_val, signals.y_val)
    assert row["macs"] == count_macs(alone, (1, 40))
    assert table(scanned).shape == (3, 3)


def test_a_layer_that_minds_more_loses_less():
    curves = {"tough": [0.9, 0.9, 0.8], "tender": [0.9, 0.5, 0.7]}
    rows = [
        {"asked": {"layer": layer, "pruning_ratio": ratio}, "val_score": score}
        for layer, curve in curves.items()
        for ratio, score in zip((0.0, 0.4, 0.8), curve, strict=True)
    ]
    ratios = layer_ratios(rows, max_loss=0.05)
    assert ratios["tough"] == pytest.approx(0.6, abs=1e-3)
    assert ratios["tender"] == pytest.approx(0.05, abs=1e-3)
    assert layer_ratios(rows, max_loss=0.3)["tender"] == pytest.approx(0.3, abs=1e-3)


def test_derived_ratios_remove_the_macs(model, signals, scanned):
    ratios = ratios_for_macs(model, signals, scanned=scanned, macs_ratio=0.4)
    smaller = prune(model, signals, layer_ratios=ratios, round_to=1)
    assert count_macs(smaller, (1, 40)) / count_macs(model, (1, 40)) == pytest.approx(0.6, abs=0.05)
    by_8 = ratios_for_macs(model, signals, scanned=scanned, macs_ratio=0.4, round_to=8)
    assert count_macs(prune(model, signals, layer_ratios=by_8, round_to=8), (1, 40)) <= 0.6 * count_macs(model, (1, 40))
    with pytest.raises(BadInput, match=r"macs_ratio = 0.99; allowed: up to 0\.\d\d"):
        ratios_for_macs(model, signals, scanned=scanned, macs_ratio=0.99)
    with pytest.raises(BadInput, match=r"ratios = .1\.5.; allowed"):
        scan(model, signals, ratios=[1.5])


def test_by_the_clock_channels_go_where_they_cost_time(model, signals, monkeypatch):
    """With a clock on which only the second layer costs anything, only the second layer is pruned."""

    def clock(models, task, **_):
        return [1.0 + prunable(one, task.input_shape)["features.2"] for one in models]

    monkeypatch.setattr(latency, "latencies", clock)
    smaller = prune_to_latency(model, signals, latency_ratio=0.5, runtime="onnx", round_to=4)
    assert prunable(smaller, (1, 40)) == {"features.0": 25, "features.2": 12, "features.4": 25}
    assert {step["layer"] for step in smaller.history} == {"features.2"}
    assert smaller.history[-1]["channels"] == 12
    half_way = prune_to_latency(model, signals, latency_ratio=0.8, runtime="onnx", round_to=4)
    assert 12 < prunable(half_way, (1, 40))["features.2"] <= 20
    gone_on = prune_to_latency(half_way, signals, latency_ratio=0.5, runtime="onnx", round_to=4, original=model)
    assert prunable(gone_on, (1, 40)) == prunable(smaller, (1, 40))  # of the original's time, not of what it began with
    little = prune_to_latency(model, signals, latency_ratio=0.98, runtime="onnx", round_to=4)
    assert prunable(little, (1, 40))["features.2"] == 24  # no more than was asked for, whatever more would save
    with pytest.raises(Unsupported, match="no layer saves more"):
        prune_to_latency(model, signals, latency_ratio=0.1, runtime="onnx", round_to=8)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        ({"latency_ratio": 1.2}, "latency_ratio = 1.2; allowed: 0 < ratio < 1"),
        ({"runtime": "tflm"}, "runtime = 'tflm': its time here means nothing; allowed: executorch, litert, onnx, torch"),
        ({"round_to": 0}, "round_to = 0; allowed: 1 or more"),
        ({"cost": "luck"}, "cost 'luck' is unknown; known: loss, operations"),
        ({"mesure_s": 1}, "mesure_s: arguments of training, and tune_items = 0"),
    ],
)
def test_by_the_clock_bad_input_is_one_line(model, signals, ask, words):
    with pytest.raises(BadInput) as caught:
        prune_to_latency(model, signals, **{"latency_ratio": 0.5, "runtime": "onnx"} | ask)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_by_the_clock_a_block_of_channels_goes_where_a_part_of_it_saves_nothing(model, signals, monkeypatch):
    def clock(models, task, **_):
        return [10.0 + 8 * (prunable(one, task.input_shape)["features.2"] // 8) for one in models]  # steps of 8 channels

    monkeypatch.setattr(latency, "latencies", clock)
    smaller = prune_to_latency(model, signals, latency_ratio=0.6, runtime="onnx", round_to=4)
    assert prunable(smaller, (1, 40))["features.2"] == 12


def test_offers_are_tuned_before_they_are_judged(model, signals, monkeypatch):
    """Every offer that saves time learns from the same items, and the one that is taken goes on with what it learned."""
    seen, learn = [], latency.train

    def watched(net, task, **recipe):
        seen.append((prunable(net, task.input_shape)["features.2"], len(task.x_train), recipe["epochs"]))
        return learn(net, task, **recipe)

    def clock(models, task, **_):
        return [1.0 + prunable(one, task.input_shape)["features.2"] for one in models]

    monkeypatch.setattr(latency, "latencies", clock)
    monkeypatch.setattr(latency, "train", watched)
    how = {"latency_ratio": 0.9, "runtime": "onnx", "round_to": 4}
    smaller = prune_to_latency(model, signals, tune_items=96, epochs=1, lr=0.003, batch_size=32, **how)
    assert sorted(seen[:4]) == [(12, 96, 1), (20, 96, 1), (24, 96, 1), (25, 96, 1)]  # three offers and the net itself
    assert {one[1:] for one in seen} == {(96, 1)}
    assert {step["tuned_items"] for step in smaller.history} == {96}
    untuned = prune_to_latency(model, signals, **how)
    assert prunable(smaller, (1, 40)) == prunable(untuned, (1, 40))
    assert evaluate(smaller, signals.x_val, signals.y_val) > evaluate(untuned, signals.x_val, signals.y_val)


def test_of_offers_that_cost_nothing_the_one_that_saves_most_is_taken(model):
    losses = dict(zip("abcd", (0.5, 0.5004, 0.4, 0.7), strict=True))
    nets = {(name, 8): name for name in "bcd"}
    saved = {("b", 8): 3.0, ("c", 8): 2.0, ("d", 8): 9.0}
    assert latency._cheapest("a", nets, saved, lambda net: net, losses.get) == (("b", 8), "b")


def test_evenly_the_largest_net_that_is_fast_enough(model, signals, monkeypatch):
    def clock(models, task, **_):
        return [1.0 + prunable(one, task.input_shape)["features.2"] for one in models]

    monkeypatch.setattr(latency, "latencies", clock)
    how = {"latency_ratio": 0.7, "runtime": "onnx", "round_to": 4}
    even = prune_evenly_to_latency(model, signals, **how)
    assert prunable(even, (1, 40)) == {"features.0": 16, "features.2": 16, "features.4": 16}
    ranked = prune_evenly_to_latency(model, signals, scope="global", **how)
    nets = latency._at_every_share(model, signals, "global", "l2", 4, 0)
    fast = [count_macs(net, (1, 40)) for net in nets if 1 + prunable(net, (1, 40))["features.2"] <= 0.7 * 26]
    assert count_macs(ranked, (1, 40)) == max(fast)
    with pytest.raises(Unsupported, match=r"uniform pruning by 32 comes down to 1\.00"):
        prune_evenly_to_latency(model, signals, **how | {"round_to": 32})
    with pytest.raises(Unsupported, match=r"uniform pruning by 4 comes down to 0\.\d\d of the latency in onnx"):
        prune_evenly_to_latency(model, signals, **how | {"latency_ratio": 0.1})
    with pytest.raises(BadInput, match=r"latency_ratio = 0; allowed"):
        prune_evenly_to_latency(model, signals, **how | {"latency_ratio": 0})


def test_fresh_batch_norm_statistics_decide_by_the_clock(digits):
    net = build_model("resnet8", digits.input_shape, 10).eval()
    spoilt = copy.deepcopy(net)
    spoilt.stem[1].running_mean += 5.0
    assert not torch.allclose(infer(spoilt, digits.x_val[:8]), infer(net, digits.x_val[:8]))
    assert latency._loss(spoilt, digits) == pytest.approx(latency._loss(net, digits), abs=1e-5)
