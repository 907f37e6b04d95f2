"""Structured pruning: which channels are removed, and that the smaller network computes what the masked one does."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from edgebook.compress.prune import IMPORTANCES, REGULARIZERS, SCOPES, importance, regularize
from edgebook.compress.prune.channels import prune, prune_in_steps
from edgebook.compress.prune.dependency_groups import (
    Ranking,
    channel_groups,
    channels_to_keep,
    make_pruner,
    obtained,
    prunable,
    remove,
    round_channels,
)
from edgebook.compress.prune.importance import rank_channels
from edgebook.compress.prune.regularize import sparse_train
from edgebook.errors import BadInput, Unsupported
from edgebook.models import build_model
from edgebook.models.macs import count_macs, count_params
from edgebook.runtimes.base import runtime
from edgebook.tasks import load_task
from edgebook.training import store
from edgebook.training.loop import infer
from edgebook.training.recipe import Recipe


@pytest.fixture(scope="module")
def digits():
    return load_task("digits")


@pytest.fixture(scope="module")
def signals():
    return load_task("mnist1d")


def net(name, task, **shape):
    """An untrained net with batch norm statistics that are not the identity."""
    torch.manual_seed(0)
    model = build_model(name, task.input_shape, task.n_outputs, **shape)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
            nn.init.normal_(module.running_mean, std=0.1)
    return model.eval()


SMALL = {"mobilenet_v2": {"width": 0.25}, "ds_cnn": {}, "resnet8": {}, "squeezenet": {}}


@pytest.mark.parametrize("ask", [{"pruning_ratio": 0.0}, {"macs_ratio": 0.0}, {"layer_ratios": {}}])
def test_a_ratio_of_0_changes_nothing(digits, ask):
    model = net("resnet8", digits)
    same = prune(model, digits, **ask)
    assert torch.equal(infer(same, digits.x_val), infer(model, digits.x_val))
    assert same is not model


@pytest.mark.parametrize("name", SMALL)
def test_every_kind_of_net_is_pruned_and_the_input_untouched(digits, name):
    model = net(name, digits, **SMALL[name])
    before = store.weights_hash(model)
    smaller = prune(model, digits, pruning_ratio=0.5, round_to=8)
    assert store.weights_hash(model) == before
    assert count_macs(smaller, digits.input_shape) < 0.6 * count_macs(model, digits.input_shape)
    assert infer(smaller, digits.x_val[:4]).shape == (4, 10)
    whole, left = prunable(model, digits.input_shape), prunable(smaller, digits.input_shape)
    assert all(left[layer] % 8 == 0 or whole[layer] < 8 for layer in left)


@pytest.mark.parametrize(("name", "target"), [*((name, "onnx") for name in SMALL), ("resnet8", "litert")])
def test_a_pruned_net_exports_and_its_file_computes_the_same(digits, tmp_path, name, target):
    smaller = prune(net(name, digits, **SMALL[name]), digits, macs_ratio=0.5, round_to=4)
    record, x = runtime(target), digits.x_val[:8]
    path = tmp_path / f"pruned{record.extension}"
    record.side("export").convert(smaller.requires_grad_(False), x[:1], path)
    outputs = record.side("load").load(path, threads=1, shape=digits.input_shape).predict(x.numpy())
    np.testing.assert_allclose(outputs, infer(smaller, x).numpy(), atol=2e-4)


def test_a_pruned_net_comes_back_from_its_file(digits, tmp_path):
    smaller = prune(net("mobilenet_v2", digits, width=0.25), digits, pruning_ratio=0.4, round_to=1)
    store.save(smaller, tmp_path / "pruned.pt")
    assert torch.equal(infer(store.load(tmp_path / "pruned.pt"), digits.x_val[:8]), infer(smaller, digits.x_val[:8]))


def masked(model, input_shape, remaining, ranking):
    """A copy of full size with everything that the removed channels would have passed on set to zero."""
    zeroed = copy.deepcopy(model)
    names = {module: name for name, module in zeroed.named_modules()}
    groups = channel_groups(make_pruner(zeroed, input_shape, importance=lambda group: None))
    for name, group in groups.items():
        gone = set(ranking.scores[name].argsort()[: ranking.channels[name] - remaining[name]].tolist())
        for dep, places in group:
            layer, out = dep.target.module, "out" in dep.handler.__name__
            if out and layer in names and hasattr(layer, "weight"):
                roots = [place for number, place in enumerate(places) if number in gone]
                layer.weight.data[roots] = 0
                if layer.bias is not None:
                    layer.bias.data[roots] = 0
    return zeroed


@pytest.mark.parametrize("name", ["resnet8", "ds_cnn"])
def test_the_pruned_net_computes_what_the_masked_net_does(digits, name):
    model = net(name, digits)
    ranking = rank_channels(model, digits, importance="l2")
    remaining = {layer: n // 2 for layer, n in ranking.channels.items()}
    smaller = remove(model, digits.input_shape, ranking, remaining)
    expected = infer(masked(model, digits.input_shape, remaining, ranking), digits.x_val[:16])
    torch.testing.assert_close(infer(smaller, digits.x_val[:16]), expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(expected, infer(model, digits.x_val[:16]), atol=1e-2)


def test_permuting_channels_changes_no_output_and_no_choice(signals):
    model = net("conv1d", signals)
    order = torch.randperm(25)
    turned = copy.deepcopy(model)
    first, second = turned.features[0], turned.features[2]
    first.weight.data, first.bias.data = first.weight.data[order], first.bias.data[order]
    second.weight.data = second.weight.data[:, order]
    torch.testing.assert_close(infer(turned, signals.x_val), infer(model, signals.x_val), atol=1e-5, rtol=1e-4)
    pruned = [infer(prune(m, signals, pruning_ratio=0.5, round_to=1), signals.x_val) for m in (model, turned)]
    torch.testing.assert_close(pruned[0], pruned[1], atol=1e-5, rtol=1e-4)


def test_macs_and_parameters_are_those_counted_by_hand(signals):
    smaller = prune(net("mlp", signals, hidden=[20, 12]), signals, pruning_ratio=0.5, round_to=1)
    assert count_macs(smaller, signals.input_shape) == 40 * 10 + 10 * 6 + 6 * 10
    assert count_params(smaller) == 40 * 10 + 10 + 10 * 6 + 6 + 6 * 10 + 10
    figures = obtained(smaller, net("mlp", signals, hidden=[20, 12]), signals.input_shape)
    assert figures["channels"] == {"layers.0": 10, "layers.2": 6, "layers.4": 10}
    assert figures["macs_removed"] == round(1 - 520 / (800 + 240 + 120), 3)


def test_the_largest_weights_stay(signals):
    model = net("mlp", signals, hidden=[8])
    with torch.no_grad():
        model.layers[0].weight[2:5] *= 100
    smaller = prune(model, signals, pruning_ratio=0.6, round_to=1, importance="l1")
    torch.testing.assert_close(smaller.layers[0].weight, model.layers[0].weight[2:5])


@pytest.mark.parametrize(
    ("name", "scope"), [*((name, "global") for name in IMPORTANCES), ("l2", "uniform"), ("l2", "isomorphic")]
)
def test_every_importance_and_scope_comes_near_the_macs(digits, name, scope):
    model = net("resnet8", digits, widths=[8, 16, 16])
    smaller = prune(model, digits, macs_ratio=0.5, importance=name, scope=scope, round_to=1)
    assert 0.35 < count_macs(smaller, digits.input_shape) / count_macs(model, digits.input_shape) < 0.65
    again = prune(model, digits, macs_ratio=0.5, importance=name, scope=scope, round_to=1)
    assert store.weights_hash(again) == store.weights_hash(smaller)


@pytest.mark.parametrize("scope", SCOPES)
def test_every_layer_keeps_a_channel(digits, scope):
    model = net("resnet8", digits, widths=[8, 16, 16])
    smaller = prune(model, digits, pruning_ratio=0.99, scope=scope, round_to=1)
    assert set(prunable(smaller, digits.input_shape).values()) == {1}
    assert infer(smaller, digits.x_val[:4]).shape == (4, 10)


@pytest.mark.parametrize("by_gradients", ["hessian", "taylor"])
def test_a_channel_that_nothing_reads_is_removed_first_by_gradients_however_large(signals, by_gradients):
    model = net("mlp", signals, hidden=[8])
    with torch.no_grad():
        model.layers[0].weight[3] *= 100
        model.layers[2].weight[:, 3] = 0
    by_size, by_gradient = (rank_channels(model, signals, importance=name).scores["layers.0"] for name in ("l2", by_gradients))
    assert by_size.argmax() == by_gradient.argmin() == 3


def test_the_hessian_is_the_mean_of_each_items_squared_gradient(signals):
    model = net("mlp", signals, hidden=[4])
    importance.accumulate_gradients(model, signals, squared=True, seed=0)
    obtained_mean, expected = model.layers[0].weight.grad.clone(), 0
    items = torch.randperm(len(signals.x_train), generator=torch.Generator().manual_seed(0))[: importance.N_ITEMS]
    for item in items:
        loss = torch.nn.functional.cross_entropy(model(signals.x_train[item : item + 1]), signals.y_train[item : item + 1])
        expected = expected + torch.autograd.grad(loss, model.layers[0].weight)[0].square() / len(items)
    torch.testing.assert_close(obtained_mean, expected, atol=1e-7, rtol=1e-4)


def test_global_ranks_layers_together(signals):
    model = net("mlp", signals, hidden=[20, 20])
    with torch.no_grad():
        model.layers[0].weight[:10] *= 0.01
    kept = prunable(prune(model, signals, pruning_ratio=0.25, scope="global", round_to=1), signals.input_shape)
    assert sum(kept.values()) == 30
    assert kept["layers.0"] < kept["layers.2"]


def test_steps_end_where_one_shot_ends(signals):
    model = net("conv1d", signals)
    kept = prunable(prune(model, signals, pruning_ratio=0.5, round_to=4), signals.input_shape)
    stepped = prune_in_steps(model, signals, Recipe(3, 500), n_steps=3, pruning_ratio=0.5, round_to=4)
    assert prunable(stepped, signals.input_shape) == kept
    assert [entry["epoch"] for entry in stepped.history] == [1, 2, 3]


@pytest.mark.parametrize("regularizer", REGULARIZERS)
def test_sparse_learning_makes_channels_smaller(digits, regularizer):
    model = net("resnet8", digits, widths=[8, 8, 8])
    plain, pulled = (
        sparse_train(model, digits, Recipe(2, lr=0.003), regularizer=regularizer, reg=reg, frequency=5) for reg in (1e-9, 0.03)
    )
    size = [sum(m.weight.abs().sum() for m in trained.modules() if isinstance(m, nn.BatchNorm2d)) for trained in (plain, pulled)]
    assert size[1] < size[0]


def test_growing_reg_penalises_scales_and_unimportant_channels_more_and_more(digits, monkeypatch):
    pulls = []

    def watched(net, task, recipe, *, before_step, keep):
        for step in range(6):
            for parameter in net.parameters():
                parameter.grad = torch.zeros_like(parameter)
            before_step(net, step)
            pulls.append(net.stem[1].weight.grad / net.stem[1].weight.detach())
        return net

    monkeypatch.setattr(regularize, "train", watched)
    model = net("resnet8", digits, widths=[8, 8, 8])
    sparse_train(model, digits, Recipe(1), regularizer="growing_reg", reg=0.01, frequency=2)
    assert torch.allclose(pulls[0], torch.full((8,), 0.01))  # before the first rise all pay alike
    assert (pulls[5] >= pulls[0]).all()
    assert pulls[5].max() == pytest.approx(0.04, rel=0.05)  # three rises for the least important


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        ({"pruning_ratio": 1.0}, "pruning_ratio = 1.0; allowed: 0 <= ratio < 1"),
        ({"macs_ratio": -0.1}, "macs_ratio = -0.1; allowed"),
        ({"layer_ratios": {"features.0": 2.0}}, "features.0 = 2.0"),
        ({"layer_ratios": {"nowhere": 0.5}}, "nowhere is unknown; known: features"),
        ({"pruning_ratio": 0.5, "importance": "best"}, "importance 'best' is unknown; known: bn_scale"),
        ({"pruning_ratio": 0.5, "scope": "wide"}, "scope = 'wide'; allowed: uniform"),
        ({"pruning_ratio": 0.5, "macs_ratio": 0.5}, "one of pruning_ratio, macs_ratio and layer_ratios is needed"),
    ],
)
def test_bad_input_is_one_line(signals, ask, words):
    with pytest.raises(BadInput) as caught:
        prune(net("conv1d", signals), signals, **ask)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_network_that_cannot_be_taken_is_unsupported_by_its_structure(signals):
    recurrent, plain = net("gru", signals), net("conv1d", signals)
    calls = [
        ("prune_units", lambda: prune(recurrent, signals, pruning_ratio=0.5)),
        ("'bn_scale' needs batch norm", lambda: prune(plain, signals, pruning_ratio=0.5, importance="bn_scale")),
        ("'bn_scale' needs batch norm", lambda: sparse_train(plain, signals, Recipe(1), regularizer="bn_scale")),
    ]
    for text, call in calls:
        with pytest.raises(Unsupported, match=text) as caught:
            call()
        assert caught.value.code == "structure"


def test_more_steps_than_epochs_are_refused(signals):
    with pytest.raises(BadInput, match="n_steps = 5; allowed: 1 to the 2 epochs"):
        prune_in_steps(net("conv1d", signals), signals, Recipe(2), n_steps=5, pruning_ratio=0.5)


GROUPS = st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(1, 300), min_size=1, max_size=6)


@given(available=GROUPS, share=st.floats(0, 1), round_to=st.sampled_from([1, 2, 4, 8, 16]))
def test_rounded_counts_are_near_and_never_empty(available, share, round_to):
    counts = {name: share * n for name, n in available.items()}
    rounded = round_channels(counts, available, round_to)
    for name, n in rounded.items():
        assert 1 <= n <= available[name]
        assert n % round_to == 0 or n == available[name]
        if round_to <= counts[name]:
            assert abs(n - counts[name]) <= round_to / 2 + 1e-6


@given(available=GROUPS, shares=st.tuples(st.floats(0, 0.99), st.floats(0, 0.99)), scope=st.sampled_from(SCOPES), data=st.data())
def test_a_larger_share_never_keeps_more_channels(available, shares, scope, data):
    draw = np.random.default_rng(data.draw(st.integers(0, 1000)))
    ranking = Ranking(
        scores={name: torch.from_numpy(draw.permutation(n) + draw.random(n)) for name, n in available.items()},
        surroundings={name: "ab"[len(name) % 2] for name in available},
    )
    round_to = data.draw(st.sampled_from([1, 4, 8]))
    few, many = (channels_to_keep(ranking, share, scope=scope, round_to=round_to) for share in (max(shares), min(shares)))
    assert all(few[name] <= many[name] for name in available)
    if min(shares) == 0:
        assert channels_to_keep(ranking, 0.0, scope=scope) == available


def test_channel_counts_are_multiples_of_round_to(digits):
    model = build_model("resnet8", digits.input_shape, digits.n_outputs)
    pruned = prune(model, digits, pruning_ratio=0.3, round_to=8)
    widths = {m.out_channels for m in pruned.modules() if isinstance(m, torch.nn.Conv2d)}
    assert all(width % 8 == 0 for width in widths)


def test_a_channel_of_zeros_is_the_one_that_is_removed(signals):
    model = build_model("conv1d", signals.input_shape, signals.n_outputs).eval()
    first = next(m for m in model.modules() if isinstance(m, torch.nn.Conv1d))
    second = [m for m in model.modules() if isinstance(m, torch.nn.Conv1d)][1]
    with torch.no_grad():
        first.weight[3], first.bias[3] = 0, 0
        second.weight[:, 3] = 0
        for layer in model.modules():  # one channel of 25 goes from each layer: all others must carry weight
            if isinstance(layer, torch.nn.Conv1d):
                layer.weight[7 if layer is not first else 3] *= 0
                layer.bias[7 if layer is not first else 3] *= 0
    pruned = prune(model, signals, pruning_ratio=0.04, importance="l2", round_to=1)
    assert torch.allclose(infer(pruned, signals.x_test[:32]), infer(model, signals.x_test[:32]), atol=1e-5)


def test_bad_ratios_and_names_are_one_line(signals):
    for ratio in (-0.1, 1.0, 1.5):
        with pytest.raises(BadInput, match="allowed: 0 <= ratio < 1"):
            prune(net("conv1d", signals), signals, pruning_ratio=ratio)
    with pytest.raises(
        BadInput, match=r"importance 'l3' is unknown; known: bn_scale, fpgm, hessian, l1, l2, lamp, random, taylor"
    ):
        prune(net("conv1d", signals), signals, pruning_ratio=0.5, importance="l3")
    thin = build_model("conv1d", signals.input_shape, 10, widths=(1, 1, 1))
    with pytest.raises(RuntimeError, match="nothing was removed"):
        prune(thin, signals, pruning_ratio=0.5, round_to=1)


def test_counts_by_hand(signals):
    mlp = build_model("mlp", signals.input_shape, 10, hidden=(7,))
    assert count_params(mlp) == 40 * 7 + 7 + 7 * 10 + 10
    assert count_macs(mlp, signals.input_shape) == 40 * 7 + 7 * 10
    gru = build_model("gru", signals.input_shape, 10, hidden=5, directions=1, head="last")
    assert count_macs(gru, signals.input_shape) == 40 * (3 * 5 * 1 + 3 * 5 * 5) + 5 * 10
