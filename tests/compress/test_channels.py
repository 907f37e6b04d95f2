"""Structured pruning: what goes, what stays, and that the smaller net is the masked net."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from edgebook import runtimes
from edgebook.compress.prune import importance as importances
from edgebook.compress.prune.channels import prune, prune_in_steps
from edgebook.compress.prune import regularize as sparse_learning
from edgebook.compress.prune.dependency_groups import SCOPES, channel_groups, obtained, prunable, pruner, remove
from edgebook.compress.prune.importance import IMPORTANCES, channel_scores
from edgebook.compress.prune.regularize import REGULARIZERS, sparse_train
from edgebook.errors import BadInput
from edgebook.models import build_model
from edgebook.models.macs import count_macs, count_params
from edgebook.tasks import load_task
from edgebook.training import store
from edgebook.training.loop import infer


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


@pytest.mark.parametrize(("name", "runtime"), [*((name, "onnx") for name in SMALL), ("resnet8", "litert")])
def test_a_pruned_net_exports_and_its_file_answers_alike(digits, tmp_path, name, runtime):
    smaller = prune(net(name, digits, **SMALL[name]), digits, macs_ratio=0.5, round_to=4)
    module, x = runtimes.runtime(runtime), digits.x_val[:8]
    path = tmp_path / f"pruned{module.EXTENSION}"
    module.convert(smaller.requires_grad_(False), x[:1], path)
    answers = module.load(path, threads=1).predict(x.numpy())
    np.testing.assert_allclose(answers, infer(smaller, x).numpy(), atol=2e-4)


def test_a_pruned_net_comes_back_from_its_file(digits, tmp_path):
    smaller = prune(net("mobilenet_v2", digits, width=0.25), digits, pruning_ratio=0.4, round_to=1)
    store.save(smaller, tmp_path / "pruned.pt")
    assert torch.equal(infer(store.load(tmp_path / "pruned.pt"), digits.x_val[:8]), infer(smaller, digits.x_val[:8]))


def masked(model, input_shape, kept, scores):
    """The net as it is, with everything that the channels that go would have passed on set to zero."""
    quiet = copy.deepcopy(model)
    names = {module: name for name, module in quiet.named_modules()}
    groups = channel_groups(pruner(quiet, input_shape, importance=lambda group: None))
    for name, group in groups.items():
        gone = set(scores[name].argsort()[: len(scores[name]) - kept[name]].tolist())
        for dep, places in group:
            layer, out = dep.target.module, "out" in dep.handler.__name__
            if out and layer in names and hasattr(layer, "weight"):
                roots = [place for number, place in enumerate(places) if number in gone]
                layer.weight.data[roots] = 0
                if layer.bias is not None:
                    layer.bias.data[roots] = 0
    return quiet


@pytest.mark.parametrize("name", ["resnet8", "ds_cnn"])
def test_the_pruned_net_answers_like_the_masked_net(digits, name):
    model = net(name, digits)
    scores, _ = channel_scores(model, digits, importance="l2")
    kept = {layer: len(score) // 2 for layer, score in scores.items()}
    smaller = remove(model, digits.input_shape, scores, kept)
    expected = infer(masked(model, digits.input_shape, kept, scores), digits.x_val[:16])
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
    said = obtained(smaller, net("mlp", signals, hidden=[20, 12]), signals.input_shape)
    assert said["channels"] == {"layers.0": 10, "layers.2": 6, "layers.4": 10}
    assert said["macs_removed"] == round(1 - 520 / (800 + 240 + 120), 3)


def test_the_largest_weights_stay(signals):
    model = net("mlp", signals, hidden=[8])
    with torch.no_grad():
        model.layers[0].weight[2:5] *= 100
    smaller = prune(model, signals, pruning_ratio=0.6, round_to=1, importance="l1")
    torch.testing.assert_close(smaller.layers[0].weight, model.layers[0].weight[2:5])


@pytest.mark.parametrize(
    ("importance", "scope"), [*((name, "global") for name in IMPORTANCES), ("l2", "uniform"), ("l2", "isomorphic")]
)
def test_every_importance_and_scope_comes_near_the_macs(digits, importance, scope):
    model = net("resnet8", digits, widths=[8, 16, 16])
    smaller = prune(model, digits, macs_ratio=0.5, importance=importance, scope=scope, round_to=1)
    assert 0.35 < count_macs(smaller, digits.input_shape) / count_macs(model, digits.input_shape) < 0.65
    again = prune(model, digits, macs_ratio=0.5, importance=importance, scope=scope, round_to=1)
    assert store.weights_hash(again) == store.weights_hash(smaller)


@pytest.mark.parametrize("scope", SCOPES)
def test_every_layer_keeps_a_channel(digits, scope):
    model = net("resnet8", digits, widths=[8, 16, 16])
    smaller = prune(model, digits, pruning_ratio=0.99, scope=scope, round_to=1)
    assert set(prunable(smaller, digits.input_shape).values()) == {1}
    assert infer(smaller, digits.x_val[:4]).shape == (4, 10)


@pytest.mark.parametrize("importance", ["hessian", "taylor"])
def test_what_nothing_listens_to_goes_first_by_gradients_however_large(signals, importance):
    model = net("mlp", signals, hidden=[8])
    with torch.no_grad():
        model.layers[0].weight[3] *= 100
        model.layers[2].weight[:, 3] = 0
    by_size, by_gradient = (channel_scores(model, signals, importance=name)[0]["layers.0"] for name in ("l2", importance))
    assert by_size.argmax() == by_gradient.argmin() == 3


def test_the_hessian_is_the_mean_of_each_items_squared_gradient(signals):
    model = net("mlp", signals, hidden=[4])
    importances._gradients(model, signals, squared=True, seed=0)
    found, expected = model.layers[0].weight.grad.clone(), 0
    items = torch.randperm(len(signals.x_train), generator=torch.Generator().manual_seed(0))[: importances.N_ITEMS]
    for item in items:
        loss = torch.nn.functional.cross_entropy(model(signals.x_train[item : item + 1]), signals.y_train[item : item + 1])
        expected = expected + torch.autograd.grad(loss, model.layers[0].weight)[0].square() / len(items)
    torch.testing.assert_close(found, expected, atol=1e-7, rtol=1e-4)


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
    stepped = prune_in_steps(model, signals, n_steps=3, pruning_ratio=0.5, round_to=4, epochs=3, batch_size=500)
    assert prunable(stepped, signals.input_shape) == kept
    assert [entry["epoch"] for entry in stepped.history] == [1, 2, 3]


@pytest.mark.parametrize("regularizer", REGULARIZERS)
def test_sparse_learning_makes_channels_smaller(digits, regularizer):
    model = net("resnet8", digits, widths=[8, 8, 8])
    plain, pulled = (
        sparse_train(model, digits, regularizer=regularizer, reg=reg, epochs=2, frequency=5, lr=0.003) for reg in (1e-9, 0.03)
    )
    size = [sum(m.weight.abs().sum() for m in one.modules() if isinstance(m, nn.BatchNorm2d)) for one in (plain, pulled)]
    assert size[1] < size[0]


def test_growing_reg_pulls_scales_and_the_unimportant_more_and_more(digits, monkeypatch):
    pulls = []

    def watched(net, task, *, before_step, **recipe):
        for step in range(6):
            for parameter in net.parameters():
                parameter.grad = torch.zeros_like(parameter)
            before_step(net, step)
            pulls.append(net.stem[1].weight.grad / net.stem[1].weight.detach())
        return net

    monkeypatch.setattr(sparse_learning, "train", watched)
    model = net("resnet8", digits, widths=[8, 8, 8])
    sparse_train(model, digits, regularizer="growing_reg", reg=0.01, frequency=2)
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
        ({"pruning_ratio": 0.5, "importance": "bn_scale"}, "bn_scale' needs batch norm, and Conv1dNet has none"),
        ({"pruning_ratio": 0.5, "importance": "best"}, "importance 'best' is unknown; known: bn_scale"),
        ({"pruning_ratio": 0.5, "scope": "wide"}, "scope = 'wide'; allowed: uniform"),
        ({"pruning_ratio": 0.5, "macs_ratio": 0.5}, "give one of"),
    ],
)
def test_bad_input_is_one_line(signals, ask, words):
    with pytest.raises(BadInput) as caught:
        prune(net("conv1d", signals), signals, **ask)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_recurrent_net_is_sent_elsewhere(signals):
    with pytest.raises(BadInput, match="prune_units"):
        prune(net("gru", signals), signals, pruning_ratio=0.5)
    with pytest.raises(BadInput, match="needs batch norm"):
        sparse_train(net("conv1d", signals), signals, regularizer="bn_scale", epochs=1)
    with pytest.raises(BadInput, match="n_steps = 5; allowed: 1 to the 2 epochs"):
        prune_in_steps(net("conv1d", signals), signals, n_steps=5, pruning_ratio=0.5, epochs=2)
