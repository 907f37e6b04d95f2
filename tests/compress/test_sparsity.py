"""Single weights set to zero: how many, which, and that they stay zero."""

import pytest
import torch

from edgebook.compress.sparsity import masks, sparsify
from edgebook.errors import BadInput
from edgebook.models import build_model
from edgebook.tasks import load_task
from edgebook.training import store
from edgebook.training.loop import infer, train
from edgebook.training.recipe import Recipe


@pytest.fixture(scope="module")
def signals():
    return load_task("mnist1d")


def mlp(hidden=(16, 16)):
    torch.manual_seed(0)
    return build_model("mlp", (1, 40), 10, hidden=list(hidden))


def zeros(model):
    return {name: weight == 0 for name, weight in masks.weights(model).items()}


def zeros_equal(a, b):
    return all(torch.equal(zeros(a)[name], zeros(b)[name]) for name in zeros(a))


def test_the_schedule_is_cubic():
    assert sparsify.scheduled(0, 10, 110, 0.2, 0.8) == pytest.approx(0.2)
    assert sparsify.scheduled(10, 10, 110, 0.2, 0.8) == pytest.approx(0.2)
    assert sparsify.scheduled(60, 10, 110, 0.2, 0.8) == pytest.approx(0.8 - 0.6 * 0.5**3)
    assert sparsify.scheduled(500, 10, 110, 0.2, 0.8) == pytest.approx(0.8)


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_exactly_the_smallest_weights_go(signals, scope):
    model = mlp()
    sparse = sparsify.cut(model, signals, sparsity=0.75, scope=scope)
    own, cut = masks.weights(model), masks.weights(sparse)
    for name, weight in own.items():
        left = cut[name] != 0
        assert torch.equal(cut[name][left], weight[left])
        if scope == "layer":
            assert left.sum() == round(0.25 * weight.numel())
            assert weight[left].abs().min() >= weight[~left].abs().max()
    assert masks.storage(sparse)["sparsity"] == 0.75
    smallest = min(weight[cut[name] != 0].abs().min() for name, weight in own.items() if (cut[name] != 0).any())
    if scope == "global":
        assert smallest >= max(weight[cut[name] == 0].abs().max() for name, weight in own.items())
    assert masks.storage(model)["sparsity"] == 0


@pytest.mark.parametrize("choice", ["magnitude", "random"])
def test_training_reaches_the_sparsity_and_keeps_it(signals, choice):
    model, recipe = mlp(), Recipe(3, 200)
    before = store.weights_hash(model)
    kwargs = {"sparsity": 0.9, "choice": choice, "end": 0.5, "frequency": 3}
    sparse = sparsify.sparsify(model, signals, recipe, **kwargs)
    assert masks.storage(sparse)["sparsity"] == pytest.approx(0.9, abs=1e-3)
    assert store.weights_hash(model) == before
    assert store.weights_hash(sparsify.sparsify(model, signals, recipe, **kwargs)) == store.weights_hash(sparse)
    again = sparsify.train_masked(sparse, signals, Recipe(1, 500))
    assert all(torch.equal(mask, zeros(again)[name]) for name, mask in zeros(sparse).items())
    plain = train(sparse, signals, Recipe(1, 500))  # without masks they would come back
    assert masks.storage(plain)["sparsity"] < 0.5


def test_a_ticket_starts_from_the_first_weights(signals):
    start = mlp()
    sparse = sparsify.cut(train(start, signals, Recipe(1)), signals, sparsity=0.8)
    ticket = sparsify.train_from_rewound(sparse, signals, Recipe(1, lr=1e-12, optimizer="sgd"), start=start)
    for name, weight in masks.weights(ticket).items():
        torch.testing.assert_close(weight, masks.weights(start)[name] * (masks.weights(sparse)[name] != 0))


def test_n_of_m_keeps_the_n_largest_of_every_m(signals):
    sparse = sparsify.cut(mlp(), signals, n_of_m="2:4")
    for name, weight in masks.weights(sparse).items():
        rows, dense = weight.reshape(-1, 4), masks.weights(mlp())[name].reshape(-1, 4).abs()
        assert ((rows != 0).sum(1) == 2).all()
        assert torch.equal(rows.abs().sum(1), dense.topk(2).values.sum(1)) or torch.allclose(
            rows.abs().sum(1), dense.topk(2).values.sum(1)
        )


def test_n_of_m_of_a_convolution_goes_along_its_input_channels(signals):
    torch.manual_seed(0)
    model = build_model("conv1d", (1, 40), 10, widths=[8, 8, 8])
    sparse = sparsify.cut(model, signals, n_of_m="1:4", keep_dense=["features.0"])
    assert (masks.weights(sparse)["features.0.weight"] != 0).all()
    for name, weight in masks.weights(sparse).items():
        if name != "features.0.weight" and weight.ndim == 3:
            assert ((weight.view(len(weight), -1, 4, weight.shape[2]) != 0).sum(2) == 1).all()
    with pytest.raises(BadInput, match=r"4 does not divide features\.0 \(1 inputs\); name such layers in keep_dense"):
        sparsify.cut(model, signals, n_of_m="1:4")


def test_without_epochs_it_is_cut_at_once(signals):
    assert zeros_equal(sparsify.sparsify(mlp(), signals, Recipe(0), sparsity=0.8), sparsify.cut(mlp(), signals, sparsity=0.8))


def test_l1_makes_weights_small_and_a_threshold_drops_them(signals):
    plain, pulled = (sparsify.train_l1(mlp(), signals, Recipe(3, 200), l1_weight=w) for w in (1e-9, 3e-3))
    dropped = [sparsify.cut(model, signals, threshold=0.02) for model in (plain, pulled)]
    assert masks.storage(dropped[1])["sparsity"] > masks.storage(dropped[0])["sparsity"] + 0.2


def test_packed_bytes_by_hand(signals):
    model = mlp(hidden=(8,))
    sparse = sparsify.cut(model, signals, sparsity=0.5)
    n_weights, n_biases = 40 * 8 + 8 * 10, 8 + 10
    assert masks.storage(sparse)["size_packed_bytes"] == n_weights // 8 + 4 * (n_weights // 2 + n_biases)


def test_recurrent_weights_count_too_and_zero_sparsity_changes_nothing(signals):
    gru = build_model("gru", (1, 40), 10)
    assert any("weight_hh_l0_reverse" in name for name in masks.weights(gru))
    same = sparsify.cut(gru, signals, sparsity=0.0)
    assert torch.equal(infer(same, signals.x_val[:8]), infer(gru, signals.x_val[:8]))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m, t: sparsify.cut(m, t, sparsity=1.0), "sparsity = 1.0; allowed: 0 <= sparsity < 1"),
        (lambda m, t: sparsify.sparsify(m, t, Recipe(1), sparsity=0.5, begin=0.6, end=0.4), "begin = 0.6, end = 0.4; allowed"),
        (lambda m, t: sparsify.sparsify(m, t, Recipe(1), sparsity=0.5, initial_sparsity=0.7), "initial_sparsity = 0.7; allowed"),
        (lambda m, t: sparsify.sparsify(m, t, Recipe(1), sparsity=0.5, frequency=0), "frequency = 0; allowed"),
        (lambda m, t: sparsify.cut(m, t, n_of_m="3:7"), "7 does not divide layers.0 (40 inputs), layers.2 (16 inputs)"),
        (
            lambda m, t: sparsify.cut(m, t, n_of_m="2:4", keep_dense=["nowhere"]),
            "keep_dense: nowhere is unknown; known: layers.0",
        ),
        (lambda m, t: sparsify.cut(m, t, n_of_m="4:2"), "n_of_m = '4:2'; allowed: n:m"),
        (lambda m, t: sparsify.cut(m, t, sparsity=0.5, scope="channel"), "scope = 'channel'; allowed: global, layer"),
        (lambda m, t: sparsify.cut(m, t, sparsity=0.5, choice="best"), "choice = 'best'; allowed: magnitude, random"),
        (sparsify.cut, "one of sparsity, n_of_m and threshold is needed"),
        (lambda m, t: sparsify.train_l1(m, t, Recipe(1), l1_weight=0.0), "l1_weight = 0.0; allowed: > 0"),
    ],
)
def test_bad_input_is_one_line(signals, call, words):
    with pytest.raises(BadInput) as caught:
        call(mlp(), signals)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
