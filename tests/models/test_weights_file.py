"""Weights from files: state dicts and safetensors, published ones by their names, and what is refused without running it."""

from __future__ import annotations

import os
import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from edgebook.errors import BadInput
from edgebook.models import build_model
from edgebook.models.weights_file import load_weights


def net(n_outputs: int = 3) -> nn.Module:
    torch.manual_seed(n_outputs)
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, n_outputs))


def said(path, model=None) -> str:
    with pytest.raises(BadInput) as caught:
        load_weights(model or net(), path, 3)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("form", ["state dict", "checkpoint", "data parallel", "safetensors"])
def test_forms_of_files(form, tmp_path):
    torch.manual_seed(1)
    trained = net()
    nn.init.normal_(trained[1].running_mean)
    state, path = trained.state_dict(), tmp_path / ("w.safetensors" if form == "safetensors" else "w.pth")
    if form == "safetensors":
        save_file(state, path)
    elif form == "checkpoint":
        torch.save({"epoch": 3, "state_dict": state}, path)
    else:
        torch.save({f"module.{name}" if form == "data parallel" else name: value for name, value in state.items()}, path)
    fresh = net()
    nn.init.zeros_(fresh[0].weight)
    assert load_weights(fresh, path, 3) == []
    assert all(torch.equal(a, b) for a, b in zip(fresh.state_dict().values(), state.values()))


@pytest.mark.parametrize(("name", "head"), [("mobilenet_v2", "classifier.1"), ("squeezenet", "classifier.1")])
def test_published_weights_load_but_for_the_head_of_another_number_of_classes(name, head, tmp_path):
    """A state dict of torchvision's names and shapes, as `test_models` holds them, for 1,000 classes and 3 channels."""
    published = build_model(name, (3, 224, 224), 1000)
    torch.save(published.state_dict(), tmp_path / "published.pth")
    own = build_model(name, (3, 64, 64), 10)
    before = own.state_dict()[f"{head}.weight"].clone()
    assert load_weights(own, tmp_path / "published.pth", 10) == [f"{head}.bias", f"{head}.weight"]
    state, given = own.state_dict(), published.state_dict()
    assert all(torch.equal(state[key], given[key]) for key in given if not key.startswith(head))
    assert torch.equal(state[f"{head}.weight"], before)
    whole = build_model(name, (3, 224, 224), 1000)
    assert load_weights(whole, tmp_path / "published.pth", 1000) == []
    assert "has the shape" in said(tmp_path / "published.pth", build_model(name, (1, 64, 64), 10))


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_pickle_offered_as_weights_runs_nothing(tmp_path):
    ran = tmp_path / "ran"
    (tmp_path / "raw.pth").write_bytes(pickle.dumps(Evil(str(ran))))
    torch.save({"0.weight": Evil(str(ran))}, tmp_path / "zip.pth")
    torch.save(net(), tmp_path / "module.pth")
    for name in ("raw", "zip", "module"):
        assert "holds more than plain weights" in said(tmp_path / f"{name}.pth")
    assert not ran.exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda state: state.pop("2.bias"), "lacks 2.bias; allowed: the 9 names of the model, such as 0.weight"),
        (lambda state: state.update({"3.weight": torch.zeros(1)}), "has also 3.weight"),
        (lambda state: state.update({"0.weight": torch.zeros(5, 7)}), "0.weight has the shape (5, 7); allowed: (5, 4)"),
        (lambda state: state.update({"0.weight": torch.full((5, 4), torch.nan)}), "0.weight has values that are NaN"),
        (lambda state: state.update({"note": "text"}), "not tensors by name"),
        (lambda state: state.clear(), "not tensors by name"),
    ],
)
def test_weights_that_do_not_fit_are_one_line(change, says, tmp_path):
    state = dict(net().state_dict())
    change(state)
    torch.save(state, tmp_path / "w.pth")
    assert says in said(tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_files_that_hold_no_weights(name, tmp_path):
    assert "cannot be read" in said(tmp_path / name)
    (tmp_path / name).write_bytes(b"nothing of the kind")
    expected = {"w.safetensors": "no safetensors file", "w.pth": "plain weights"}[name]
    assert expected in said(tmp_path / name)
    torch.save(net().state_dict(), tmp_path / "whole.pth")
    (tmp_path / name).write_bytes((tmp_path / "whole.pth").read_bytes()[:500])
    said(tmp_path / name)
