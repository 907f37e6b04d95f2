"""Classes, packages and exported programs as networks: what they are called with, and that they train, prune and come back."""

from __future__ import annotations

import copy
import sys

import pytest
import torch
from torch import nn

from edgebook.compress.prune.channels import prune
from edgebook.compress.prune.dependency_groups import prunable
from edgebook.errors import BadInput
from edgebook.libraries import versions_of
from edgebook.models import allow_network, build_model, rebuild
from edgebook.models.network_file import PACKAGES, VARIABLE
from edgebook.models.structure import describe
from edgebook.naming import is_package, is_path, model_label
from edgebook.runner.plan import absolute
from edgebook.training.loop import infer, train
from edgebook.training.recipe import Recipe
from edgebook.user_source import user_source

NETS = """
from torch import nn

class ByShape(nn.Module):
    def __init__(self, input_shape, n_outputs, width=4):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(input_shape[0] * input_shape[1], width), nn.Linear(width, n_outputs))

    def forward(self, x):
        return self.layers(x)

class BySize(nn.Sequential):
    def __init__(self, in_channels, num_classes=3):
        super().__init__(nn.Conv1d(in_channels, num_classes, 3), nn.AdaptiveAvgPool1d(1), nn.Flatten())

class Narrow(nn.Sequential):
    def __init__(self, width, num_classes):
        super().__init__(nn.Flatten(), nn.Linear(width, num_classes))

def in_order(i, o, *, bias=True):
    return nn.Sequential(nn.Flatten(), nn.Linear(i[0] * i[1], o, bias=bias))

def anything(**settings):
    return nn.Sequential(nn.Flatten(), nn.Linear(40, settings["num_classes"]))
"""


@pytest.fixture(autouse=True)
def nothing_is_allowed(monkeypatch):
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.setenv(PACKAGES, "")


@pytest.fixture
def nets(tmp_path):
    file = tmp_path / "nets.py"
    file.write_text(NETS)
    allow_network(str(file))
    return file


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package on the path, as after an editable installation."""
    folder = tmp_path / "site" / "edgenets"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("from . import nets\n")
    (folder / "nets.py").write_text(NETS)
    monkeypatch.syspath_prepend(str(folder.parent))
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "edgenets"]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("name", "shape", "n_params"),
    [
        ("ByShape", {}, 40 * 4 + 4 + 4 * 10 + 10),
        ("ByShape", {"width": 2}, 40 * 2 + 2 + 2 * 10 + 10),
        ("BySize", {}, 10 * 1 * 3 + 10),
        ("Narrow", {"width": 40}, 40 * 10 + 10),
        ("in_order", {}, 40 * 10 + 10),
        ("in_order", {"bias": False}, 40 * 10),
        ("anything", {"num_classes": 10}, 40 * 10 + 10),
    ],
)
def test_functions_and_classes_get_their_sizes(nets, name, shape, n_params):
    model = build_model(f"{nets}:{name}", (1, 40), 10, **shape)
    assert sum(p.numel() for p in model.parameters()) == n_params
    assert model(torch.zeros(2, 1, 40)).shape == (2, 10)
    assert repr(rebuild(model.spec)) == repr(model)


@pytest.mark.parametrize(
    ("name", "shape", "says"),
    [
        ("Narrow", {}, "needs width; allowed: model_shape: {width: ...}"),
        ("BySize", {"depth": 3}, "no shape parameter depth; allowed: in_channels, num_classes"),
        ("in_order", {"width": 3}, "no shape parameter width; allowed: bias"),
        ("Absent", {}, "it has: ByShape, BySize, Narrow, in_order, anything"),
        ("anything", {}, "cannot be built: KeyError: 'num_classes'"),
    ],
)
def test_what_a_constructor_lacks_is_one_line(nets, name, shape, says):
    with pytest.raises(BadInput) as caught:
        build_model(f"{nets}:{name}", (1, 40), 10, **shape)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_package_runs_only_when_it_was_named(package):
    name = "edgenets.nets:BySize"
    with pytest.raises(BadInput, match="is not allowed to run"):
        build_model(name, (1, 40), 10)
    assert "edgenets" not in sys.modules
    allow_network(name)
    model = build_model(name, (1, 40), 10)
    assert model(torch.zeros(2, 1, 40)).shape == (2, 10)
    assert repr(rebuild(model.spec)) == repr(model)
    with pytest.raises(BadInput, match="is not allowed to run"):
        build_model("edgenets.nets:Narrow", (1, 40), 10, width=40)


def test_a_package_is_known_by_its_version_or_its_files(package):
    before = user_source("edgenets.nets:BySize")
    assert set(before) == {"__init__.py", "nets.py"}
    (package / "nets.py").write_text(NETS + "\n# edited\n")
    assert user_source("edgenets.nets:BySize") != before
    assert user_source("torch.nn:Linear") == versions_of(["torch"])


@pytest.mark.parametrize("name", ["no.such:thing", "edgenets.nets:Absent"])
def test_what_a_package_lacks_is_one_line(package, name):
    allow_network(name)
    with pytest.raises(BadInput, match="cannot be built") as caught:
        build_model(name, (1, 40), 10)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "package", "path", "label"),
    [
        ("resnet8", False, False, "resnet8"),
        ("nets/net.py:build", False, True, "net:build"),
        ("net.py:build", False, True, "net:build"),
        ("torchvision.models:resnet18", True, True, "models:resnet18"),
        ("timm:create_model", True, True, "timm:create_model"),
        ("nets/net.pt2", False, True, "net"),
        ("2:4", False, True, "2:4"),
    ],
)
def test_names_of_networks(name, package, path, label):
    assert (is_package(name), is_path(name), model_label(name)) == (package, path, label)
    assert (absolute(name) == name) == (package or not path)


def export(model, input_shape, path, *, batch=True):
    """A .pt2 file of a network, with any batch size or a fixed one."""
    shapes = ({0: torch.export.Dim("batch", min=1, max=4096)},) if batch else None
    program = torch.export.export(model, (torch.randn(2, *input_shape),), dynamic_shapes=shapes)
    torch.export.save(program, path)
    allow_network(str(path))
    return str(path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "input_shape"),
    [("resnet8", (1, 8, 8)), ("ds_cnn", (1, 16, 16)), ("unet", (1, 8, 8)), ("conv1d", (1, 40)), ("gru", (1, 8))],
)
def test_an_exported_program_computes_the_same_and_comes_back(name, input_shape, tmp_path):
    torch.manual_seed(0)
    model = build_model(name, input_shape, 10).eval()
    again = build_model(export(model, input_shape, tmp_path / "net.pt2"), input_shape, 10)
    x = torch.randn(5, *input_shape)
    torch.testing.assert_close(infer(again, x), infer(model, x))
    assert again.training
    copied = rebuild(copy.deepcopy(again).spec, describe(again))
    copied.load_state_dict(again.state_dict())
    torch.testing.assert_close(infer(copied, x), infer(model, x))
    if name != "gru":
        assert len(prunable(again, input_shape)) == len(prunable(model, input_shape))


def test_a_program_exported_in_training_mode_has_both_modes(tmp_path):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv1d(1, 4, 3), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(4 * 38, 10)).train()
    again = build_model(export(net, (1, 40), tmp_path / "net.pt2"), (1, 40), 10)
    x = torch.randn(6, 1, 40)
    torch.testing.assert_close(infer(again, x), infer(net, x))
    again(x)  # training mode: statistics move, and dropout draws
    assert not torch.equal(again(x), again(x))
    assert again.get_buffer("layers.1.running_mean").abs().sum() > 0


def test_an_exported_program_trains_and_is_pruned(digits, tmp_path):
    torch.manual_seed(0)
    path = export(build_model("resnet8", digits.input_shape, 10).eval(), digits.input_shape, tmp_path / "net.pt2")
    trained = train(build_model(path, digits.input_shape, 10), digits, Recipe(epochs=1, batch_size=64, device="cpu"))
    assert trained.history[0]["val_score"] > 0.5
    smaller = prune(trained, digits, pruning_ratio=0.5, round_to=4)
    assert sum(p.numel() for p in smaller.parameters()) < 0.4 * sum(p.numel() for p in trained.parameters())


class TwoInputs(nn.Module):
    def forward(self, x, y):
        return x + y


def test_a_program_that_cannot_be_used_is_one_line(tmp_path):
    net = nn.Sequential(nn.Flatten(), nn.Linear(40, 10))
    fixed = export(net, (1, 40), tmp_path / "fixed.pt2", batch=False)
    good = export(net, (1, 40), tmp_path / "good.pt2")
    torch.export.save(torch.export.export(TwoInputs(), (torch.zeros(2, 3), torch.zeros(2, 3))), tmp_path / "two.pt2")
    (tmp_path / "bad.pt2").write_bytes(b"no archive")
    for name in ("two", "bad"):
        allow_network(f"{tmp_path}/{name}.pt2")
    for path, shape, says in (
        (fixed, (1, 40), "was exported for batches of 2, so that it cannot be trained; allowed: torch.export.export"),
        (good, (1, 50), r"was exported for items of shape \(1, 40\); allowed: \(1, 50\)"),
        (f"{tmp_path}/two.pt2", (3,), "has 2 inputs; allowed: one"),
        (f"{tmp_path}/bad.pt2", (3,), "cannot be loaded by torch.export"),
        (f"{tmp_path}/absent.pt2", (3,), "no file"),
    ):
        with pytest.raises(BadInput, match=says) as caught:
            build_model(path, shape, 10)
        assert "\n" not in str(caught.value)
    with pytest.raises(BadInput, match="no shape parameter width"):
        build_model(good, (1, 40), 10, width=3)
    torch.save(net, tmp_path / "closed.pt2")
    with pytest.raises(BadInput, match="is not allowed to run"):
        build_model(f"{tmp_path}/closed.pt2", (1, 40), 10)


def test_lazy_layers_and_a_shape_parameter_called_name(tmp_path, digits):
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "def build(input_shape, n_outputs, name='x'):\n"
        "    return nn.Sequential(nn.Flatten(), nn.LazyLinear(3 if name == 'small' else 8), nn.LazyLinear(n_outputs))\n"
    )
    allow_network(f"{tmp_path}/net.py:build")
    net = build_model(f"{tmp_path}/net.py:build", digits.input_shape, digits.n_outputs, name="small")
    assert [tuple(parameter.shape) for parameter in net.parameters()] == [(3, 64), (3,), (10, 3), (10,)]
    assert net.training
    again = rebuild(net.spec, describe(net))
    again.load_state_dict(net.state_dict())
    assert torch.equal(again(digits.x_val), net.eval()(digits.x_val))
