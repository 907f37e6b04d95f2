"""Latency-aware pruning and its control at equal latency, with a clock made of channel counts."""

import copy

import pytest
import torch

from edgebook.compress.prune import equal_latency, latency_aware
from edgebook.compress.prune.dependency_groups import prunable
from edgebook.compress.prune.equal_latency import every_share, prune_evenly_to_latency
from edgebook.compress.prune.latency_aware import prune_to_latency
from edgebook.errors import BadInput, Unsupported
from edgebook.models import build_model
from edgebook.models.macs import count_macs
from edgebook.tasks import load_task
from edgebook.training.loop import evaluate, infer, train
from edgebook.training.recipe import Recipe


@pytest.fixture(scope="module")
def signals():
    return load_task("mnist1d")


@pytest.fixture(scope="module")
def model(signals):
    torch.manual_seed(0)
    return train(build_model("conv1d", (1, 40), 10), signals, Recipe(8))


@pytest.fixture
def second_layer_clock(monkeypatch):
    """A clock on which only the second layer costs anything: its number of channels, and one."""

    def clock(models, task, **_):
        return [1.0 + prunable(net, task.input_shape)["features.2"] for net in models]

    monkeypatch.setattr(latency_aware, "file_latencies", clock)
    monkeypatch.setattr(equal_latency, "file_latencies", clock)


def test_channels_are_removed_where_they_cost_time(model, signals, second_layer_clock):
    smaller = prune_to_latency(model, signals, latency_ratio=0.5, runtime="onnx", round_to=4)
    assert prunable(smaller, (1, 40)) == {"features.0": 25, "features.2": 12, "features.4": 25}
    assert {step["layer"] for step in smaller.history} == {"features.2"}
    assert smaller.history[-1]["channels"] == 12
    half_way = prune_to_latency(model, signals, latency_ratio=0.8, runtime="onnx", round_to=4)
    assert 12 < prunable(half_way, (1, 40))["features.2"] <= 20
    continued = prune_to_latency(half_way, signals, latency_ratio=0.5, runtime="onnx", round_to=4, original=model)
    assert prunable(continued, (1, 40)) == prunable(smaller, (1, 40))  # of the original's time, not of what it began with
    little = prune_to_latency(model, signals, latency_ratio=0.98, runtime="onnx", round_to=4)
    assert prunable(little, (1, 40))["features.2"] == 24  # no more than was asked for, whatever more would save
    with pytest.raises(Unsupported, match="no layer saves more"):
        prune_to_latency(model, signals, latency_ratio=0.1, runtime="onnx", round_to=8)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        ({"latency_ratio": 1.2}, "latency_ratio = 1.2; allowed: 0 < ratio < 1"),
        ({"runtime": "tflm"}, "runtime = 'tflm' has no latency on this machine; allowed: executorch, litert, onnx, torch"),
        ({"round_to": 0}, "round_to = 0; allowed: 1 or more"),
        ({"cost": "luck"}, "cost 'luck' is unknown; known: loss, macs"),
        ({"tune_items": 8}, "tune_items = 8 with recipe = None; allowed: both, or neither"),
        ({"recipe": Recipe(1)}, "tune_items = 0 with recipe = Recipe("),
    ],
)
def test_bad_input_is_one_line(model, signals, ask, words):
    with pytest.raises(BadInput) as caught:
        prune_to_latency(model, signals, **{"latency_ratio": 0.5, "runtime": "onnx"} | ask)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_whole_block_of_channels_is_removed_where_a_part_of_it_saves_nothing(model, signals, monkeypatch):
    def clock(models, task, **_):
        return [10.0 + 8 * (prunable(net, task.input_shape)["features.2"] // 8) for net in models]  # steps of 8 channels

    monkeypatch.setattr(latency_aware, "file_latencies", clock)
    smaller = prune_to_latency(model, signals, latency_ratio=0.6, runtime="onnx", round_to=4)
    assert prunable(smaller, (1, 40))["features.2"] == 12


def test_candidates_are_tuned_before_they_are_judged(model, signals, second_layer_clock, monkeypatch):
    """Every candidate that saves time learns from the same items, and the one that is taken keeps what it learned."""
    trained, recipe = [], Recipe(1, 32, 0.003)

    def watched(net, task, recipe, *, keep):
        trained.append((prunable(net, task.input_shape)["features.2"], len(task.x_train), recipe.epochs))
        return train(net, task, recipe, keep=keep)

    monkeypatch.setattr(latency_aware, "train", watched)
    how = {"latency_ratio": 0.9, "runtime": "onnx", "round_to": 4}
    smaller = prune_to_latency(model, signals, tune_items=96, recipe=recipe, **how)
    assert sorted(trained[:4]) == [(12, 96, 1), (20, 96, 1), (24, 96, 1), (25, 96, 1)]  # three candidates and the net itself
    assert {entry[1:] for entry in trained} == {(96, 1)}
    assert {step["tuned_items"] for step in smaller.history} == {96}
    untuned = prune_to_latency(model, signals, **how)
    assert prunable(smaller, (1, 40)) == prunable(untuned, (1, 40))
    assert evaluate(smaller, signals) > evaluate(untuned, signals)


def test_of_candidates_that_cost_nothing_the_one_that_saves_most_is_taken():
    losses = dict(zip("abcd", (0.5, 0.5004, 0.4, 0.7), strict=True))
    nets = {(name, 8): name for name in "bcd"}
    saved = {("b", 8): 3.0, ("c", 8): 2.0, ("d", 8): 9.0}
    assert latency_aware._cheapest("a", nets, saved, lambda net: net, losses.get) == (("b", 8), "b")


def test_the_control_is_the_largest_network_that_is_fast_enough(model, signals, second_layer_clock):
    how = {"latency_ratio": 0.7, "runtime": "onnx", "round_to": 4}
    even = prune_evenly_to_latency(model, signals, **how)
    assert prunable(even, (1, 40)) == {"features.0": 16, "features.2": 16, "features.4": 16}
    ranked = prune_evenly_to_latency(model, signals, scope="global", **how)
    nets = every_share(model, signals, scope="global", importance="l2", round_to=4, seed=0)
    fast = [count_macs(net, (1, 40)) for net in nets if 1 + prunable(net, (1, 40))["features.2"] <= 0.7 * 26]
    assert count_macs(ranked, (1, 40)) == max(fast)
    with pytest.raises(Unsupported, match=r"uniform pruning in multiples of 32 reaches 1\.00"):
        prune_evenly_to_latency(model, signals, **how | {"round_to": 32})
    with pytest.raises(Unsupported, match=r"uniform pruning in multiples of 4 reaches 0\.\d\d of the latency in onnx"):
        prune_evenly_to_latency(model, signals, **how | {"latency_ratio": 0.1})
    with pytest.raises(BadInput, match=r"latency_ratio = 0; allowed"):
        prune_evenly_to_latency(model, signals, **how | {"latency_ratio": 0})


def test_candidates_are_judged_with_re_estimated_batch_norm():
    digits = load_task("digits")
    net = build_model("resnet8", digits.input_shape, 10).eval()
    spoilt = copy.deepcopy(net)
    spoilt.stem[1].running_mean += 5.0
    assert not torch.allclose(infer(spoilt, digits.x_val[:8]), infer(net, digits.x_val[:8]))
    assert latency_aware.training_loss(spoilt, digits) == pytest.approx(latency_aware.training_loss(net, digits), abs=1e-5)


def test_the_cheapest_candidate_is_taken_also_where_a_session_finds_the_network_fast_enough(model, monkeypatch):
    """Noise between two sessions must not make the time that is still needed negative, which would turn the choice around."""
    cheap, dear = copy.deepcopy(model), copy.deepcopy(model)
    candidates = {("a", 8): cheap, ("b", 8): dear}

    def clock(models, **_):
        return [10.0, 4.9, 4.5, 4.5]  # the network takes less than the half that is requested

    def price(net):
        return 2.0 if net is dear else 1.0

    step, net = latency_aware._step(model, model, lambda net: candidates, clock, 0.5, lambda net, draw: net, price)
    assert step == {"layer": "a", "channels": 8, "latency_ratio": 0.45}
    assert net is cheap
