"""Hidden units of recurrent networks: removing them is the same as holding them at zero."""

import pytest
import torch

from edgebook.compress.prune import HIDDEN_IMPORTANCES, hidden_importance
from edgebook.compress.prune.hidden_units import keep_units, prune_units, recurrent_parts, unit_slices, zero_units
from edgebook.errors import BadInput, Unsupported
from edgebook.models import build_model
from edgebook.models.macs import count_macs, count_params
from edgebook.runtimes.base import runtime
from edgebook.tasks import load_task
from edgebook.training import store
from edgebook.training.loop import infer, train
from edgebook.training.recipe import Recipe


@pytest.fixture(scope="module")
def signals():
    return load_task("mnist1d")


def net(name, task, **shape):
    torch.manual_seed(0)
    return build_model(name, task.input_shape, task.n_outputs, **{"hidden": 6, **shape}).eval()


SHAPES = [
    {"head": "all"},
    {"head": "last"},
    {"directions": 1, "head": "last"},
    {"directions": 1},
    {"n_layers": 2, "head": "last"},
    {"n_layers": 2},
]


@pytest.mark.parametrize("name", ["gru", "lstm"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_zeroing_units_equals_removing_them(signals, name, shape):
    model = net(name, signals, **shape)
    smaller = net(name, signals, **shape)
    places = [place for place, _, _ in unit_slices(*recurrent_parts(model))]
    remaining = {place: torch.randperm(6)[:4].sort().values for place in places}
    removed = {place: torch.tensor([u for u in range(6) if u not in units.tolist()]) for place, units in remaining.items()}
    keep_units(*recurrent_parts(smaller), remaining)
    expected = infer(zero_units(model, removed), signals.x_val[:32])
    torch.testing.assert_close(infer(smaller, signals.x_val[:32]), expected, atol=1e-6, rtol=1e-5)
    assert not torch.allclose(expected, infer(model, signals.x_val[:32]), atol=1e-4)
    fresh = net(name, signals, **{**shape, "hidden": 4})
    assert {key: value.shape for key, value in smaller.state_dict().items()} == {
        key: value.shape for key, value in fresh.state_dict().items()
    }


@pytest.mark.parametrize("importance", HIDDEN_IMPORTANCES)
def test_a_pruned_gru_is_smaller_trains_and_comes_back(signals, tmp_path, importance):
    model = net("gru", signals)
    before = store.weights_hash(model)
    smaller = prune_units(model, signals, pruning_ratio=0.5, importance=importance)
    assert store.weights_hash(model) == before
    # by hand: 2 directions x 40 steps x 3 gates x 3 units x (1 input + 3 units), and 40 steps x 6 outputs x 10 classes
    assert count_macs(smaller, signals.input_shape) == 2 * 40 * 9 * (1 + 3) + 40 * 6 * 10
    assert count_params(smaller) == 2 * 9 * (1 + 3 + 2) + 40 * 6 * 10 + 10
    trained = train(smaller, signals, Recipe(1, 500))
    store.save(trained, tmp_path / "gru.pt")
    assert torch.equal(infer(store.load(tmp_path / "gru.pt"), signals.x_val), infer(trained, signals.x_val))


def test_its_file_computes_the_same(signals, tmp_path):
    smaller, onnx = prune_units(net("gru", signals), signals, pruning_ratio=0.5), runtime("onnx")
    onnx.side("export").convert(smaller.requires_grad_(False), signals.x_val[:1], tmp_path / "gru.onnx")
    program = onnx.side("load").load(tmp_path / "gru.onnx", threads=1, shape=signals.input_shape)
    outputs = program.predict(signals.x_val[:16].numpy())
    torch.testing.assert_close(torch.from_numpy(outputs), infer(smaller, signals.x_val[:16]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("importance", ["l1", "l2", "loss", "taylor"])
def test_a_unit_without_effect_goes_first(signals, importance):
    model = zero_units(net("gru", signals), {(0, 0): torch.tensor([1, 4]), (0, 1): torch.tensor([0, 5])})
    for place, _, out in unit_slices(*recurrent_parts(model)):
        for weight, dim, index in out:  # nor does anything read it
            weight.data.index_fill_(dim, index[[1, 4] if place == (0, 0) else [0, 5]].flatten(), 0.0)
    with torch.no_grad():  # a unit that matters for the loss matters more than none
        model.linear.weight *= 3
    smaller = prune_units(model, signals, pruning_ratio=0.3, importance=importance)
    if importance == "loss":  # on the loss of an untrained net a unit may do harm: its absence only changes nothing
        x, y = hidden_importance.sample_items(signals, 0)
        whole = torch.nn.functional.cross_entropy(infer(model, x), y)
        left = hidden_importance.loss(model, signals, 0)
        torch.testing.assert_close(left[0, 0][[1, 4]], whole.expand(2))
        assert not torch.allclose(left[0, 0], whole.expand(len(left[0, 0])), atol=1e-6)
    else:
        torch.testing.assert_close(infer(smaller, signals.x_val), infer(model, signals.x_val), atol=1e-5, rtol=1e-4)


def test_the_look_at_gradients_leaves_the_net_as_it_was(signals):
    """Also where training mode would move statistics: batch norm before the recurrent layer."""

    class Normed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.rest = torch.nn.BatchNorm1d(1), net("gru", signals)

        def forward(self, x):
            return self.rest(self.norm(x))

    model = Normed().eval()
    smaller = prune_units(model, signals, pruning_ratio=0.5, importance="taylor")
    assert torch.equal(smaller.norm.running_mean, model.norm.running_mean)


def test_ratio_0_changes_nothing_and_bad_input_is_one_line(signals):
    model = net("gru", signals)
    assert torch.equal(infer(prune_units(model, signals, pruning_ratio=0), signals.x_val), infer(model, signals.x_val))
    with pytest.raises(BadInput, match=r"pruning_ratio = 1\.5; allowed: 0 <= ratio < 1"):
        prune_units(model, signals, pruning_ratio=1.5)
    with pytest.raises(BadInput, match="round_to = 0; allowed: 1 or more"):
        prune_units(model, signals, pruning_ratio=0.5, round_to=0)
    with pytest.raises(BadInput, match="importance 'bn_scale' is unknown"):
        prune_units(model, signals, pruning_ratio=0.5, importance="bn_scale")


class ReadsTheMean(torch.nn.Module):
    """A recurrent network whose dense layer reads the mean over all steps after a product with the step's number."""

    def __init__(self):
        super().__init__()
        self.rnn, self.linear = torch.nn.GRU(1, 6, batch_first=True), torch.nn.Linear(12, 10)

    def forward(self, x):
        steps, _ = self.rnn(x.transpose(1, 2))
        return self.linear(torch.stack([steps.mean(1), steps[:, -1]], 2).flatten(1))  # units side by side, not steps


def test_a_model_of_another_structure_is_unsupported(signals):
    torch.manual_seed(0)
    with pytest.raises(Unsupported, match="one GRU or LSTM and one dense layer; Conv1dNet has Linear") as caught:
        prune_units(build_model("conv1d", (1, 40), 10), signals, pruning_ratio=0.5)
    assert caught.value.code == "structure"
    with pytest.raises(Unsupported, match="ReadsTheMean reads its GRU otherwise"):
        prune_units(ReadsTheMean(), signals, pruning_ratio=0.5)
