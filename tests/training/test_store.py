"""The store: the same question is answered once, another one is not taken for it, and pruned nets come back whole."""

import pytest
import torch

from edgebook.compress.prune.channels import prune
from edgebook.models import MODELS, build_model
from edgebook.models.macs import count_params
from edgebook.training import store
from edgebook.training.loop import infer, seed_all

CALLS = []


def shake(model, task, *, amount):
    """A technique that uses random numbers: adds noise to every weight of a copy."""
    import copy

    CALLS.append(amount)
    noisy = copy.deepcopy(model)
    for parameter in noisy.parameters():
        parameter.data += amount * torch.randn_like(parameter)
    return noisy


def test_a_second_call_finds_the_first_whatever_ran_in_between(net, mnist1d, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEBOOK_STORE", str(tmp_path / "a"))
    CALLS.clear()
    first = store.cached(shake, net, mnist1d, amount=0.1)
    again = store.cached(shake, net, mnist1d, amount=0.1)
    assert CALLS == [0.1]
    monkeypatch.setenv("EDGEBOOK_STORE", str(tmp_path / "b"))
    torch.rand(1234)
    elsewhere = store.cached(shake, net, mnist1d, amount=0.1)
    assert CALLS == [0.1, 0.1]
    assert store.weights_hash(first) == store.weights_hash(again) == store.weights_hash(elsewhere)


def test_another_argument_parent_or_task_is_another_key(net, mnist1d, digits):
    other = shake(net, mnist1d, amount=1e-3)
    keys = [
        store.cache_key(shake, net, mnist1d, {"amount": 0.1}),
        store.cache_key(shake, net, mnist1d, {"amount": 0.2}),
        store.cache_key(shake, other, mnist1d, {"amount": 0.1}),
        store.cache_key(shake, net, digits, {"amount": 0.1}),
        store.cache_key(prune, net, mnist1d, {"amount": 0.1}),
    ]
    assert len(set(keys)) == len(keys)


def test_the_key_follows_the_code_of_everything_that_is_imported():
    assert store.source_closure("edgebook.training.loop") != store.source_closure("edgebook.compress.distill.student")
    assert store.source_closure("edgebook.compress.distill.student") == store.source_closure("edgebook.compress.distill.student")


@pytest.mark.parametrize("name", ["resnet8", "ds_cnn", "mobilenet_v2", "lightweight_cnn", "squeezenet"])
def test_a_pruned_net_comes_back_from_its_small_description(name, digits, tmp_path):
    seed_all(0)
    shape = {"width": 0.25} if name == "mobilenet_v2" else {}
    model = build_model(name, digits.input_shape, digits.n_outputs, **shape).eval()
    pruned = prune(model, digits, pruning_ratio=0.5, round_to=4)
    store.save(pruned, tmp_path / "net.pt")
    back = store.load(tmp_path / "net.pt")
    assert count_params(back) == count_params(pruned) < count_params(model)
    assert torch.equal(infer(back, digits.x_test), infer(pruned, digits.x_test))


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_survives_the_round_trip(name, mnist1d, digits, tmp_path):
    task = mnist1d if name in ("conv1d", "gru", "lstm", "mlp") else digits
    model = build_model(name, task.input_shape, task.n_outputs).eval()
    store.save(model, tmp_path / "net.pt")
    assert torch.equal(infer(store.load(tmp_path / "net.pt"), task.x_test[:8]), infer(model, task.x_test[:8]))
