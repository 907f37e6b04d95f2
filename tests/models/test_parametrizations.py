"""Weight norm and spectral norm, old and new: trained as they are, plain afterwards, and the same numbers throughout."""

import copy
import warnings

import pytest
import torch
from torch import nn

from edgebook.errors import Unsupported
from edgebook.models import allow_network, build_model
from edgebook.models.parametrizations import is_parametrized, plain, with_parametrizations
from edgebook.tasks import load_task
from edgebook.training import store
from edgebook.training.loop import infer, train
from edgebook.training.recipe import Recipe

OLD_WEIGHT, OLD_SPECTRAL = nn.utils.weight_norm, nn.utils.spectral_norm
NEW = nn.utils.parametrizations


def layers(weight, spectral):
    torch.manual_seed(0)
    net = nn.Sequential(weight(nn.Conv1d(1, 6, 3)), nn.ReLU(), spectral(nn.Conv1d(6, 6, 3)), nn.Flatten(), nn.Linear(216, 10))
    with torch.no_grad():
        net(torch.randn(4, 1, 40))  # one step of the power iteration
    return net.eval()


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_old_hooks_become_parametrizations_with_the_same_numbers():
    net, x = layers(OLD_WEIGHT, OLD_SPECTRAL), torch.randn(5, 1, 40)
    expected = net(x)
    net = with_parametrizations(net)
    assert is_parametrized(net)
    torch.testing.assert_close(copy.deepcopy(net)(x), expected)


@pytest.mark.parametrize(
    "make", [lambda: layers(NEW.weight_norm, NEW.spectral_norm), lambda: layers(NEW.orthogonal, NEW.orthogonal)]
)
def test_a_plain_copy_computes_the_same_and_the_original_stays(make):
    net, x = make(), torch.randn(5, 1, 40)
    expected, copied = net(x), plain(net)
    assert not is_parametrized(copied)
    assert is_parametrized(net)
    torch.testing.assert_close(copied(x), expected)
    torch.testing.assert_close(net(x), expected)
    assert plain(copied) is copied
    assert {name for name, _ in copied.named_parameters()} == {
        name for name, _ in layers(lambda m: m, lambda m: m).named_parameters()
    }


class Drawn(nn.Module):
    """A weight that is another one in every call."""

    def forward(self, weight):
        return weight + torch.randn_like(weight)


def test_a_plain_copy_that_computes_something_else_is_refused():
    net = nn.Sequential(nn.Flatten(), nn.Linear(40, 10))
    nn.utils.parametrize.register_parametrization(net[1], "weight", Drawn())
    net.spec = {"model": "mlp", "input_shape": [1, 40], "wrappers": []}
    with pytest.raises(Unsupported, match=r"^plain weights: the outputs change by up to ") as caught:
        plain(net)
    assert caught.value.code == "fidelity"


NET = """
from torch import nn
def net(shape, n, old):
    norm = nn.utils.weight_norm if old else nn.utils.parametrizations.weight_norm
    return nn.Sequential(norm(nn.Conv1d(shape[0], 6, 5, stride=3)), nn.ReLU(), nn.Flatten(), norm(nn.Linear(72, n)))
"""


@pytest.mark.parametrize("old", [True, False])
def test_a_network_under_weight_norm_trains_becomes_plain_and_comes_back(old, tmp_path):
    (tmp_path / "mine.py").write_text(NET)
    allow_network(str(tmp_path / "mine.py"))
    task = load_task("mnist1d")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        model = build_model(f"{tmp_path}/mine.py:net", task.input_shape, task.n_outputs, old=old)
        trained = train(model, task, Recipe(1, device="cpu"))
        made_plain = plain(trained)
        store.save(made_plain, tmp_path / "plain.pt")
        again = store.load(tmp_path / "plain.pt")
    outputs = infer(trained, task.x_val[:8])
    torch.testing.assert_close(infer(made_plain, task.x_val[:8]), outputs)
    torch.testing.assert_close(infer(again, task.x_val[:8]), outputs)
    assert again.spec["wrappers"] == [{"name": "plain"}]
