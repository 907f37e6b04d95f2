"""Corrupted items and the attack; the whole notebook runs with the preset smoke."""

import numpy as np
import pytest
import torch

from edgebook.experiment.robustness import corrupted_splits, fgsm
from edgebook.models import build_model
from edgebook.report.robustness import notes


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return build_model("conv1d", (1, 40), 10, widths=[4, 4, 4]).eval()


def test_an_attack_of_size_0_changes_nothing_and_others_raise_the_loss(net, mnist1d):
    x, y = mnist1d.x_test[:50], mnist1d.y_test[:50]
    assert np.array_equal(fgsm(net, mnist1d, x, y, 0.0), x.numpy())
    attacked = torch.from_numpy(fgsm(net, mnist1d, x, y, 0.1))
    assert (attacked - x).abs().max() == pytest.approx(0.1 * x.std().item(), rel=1e-3)
    assert mnist1d.kind.loss(net(attacked), attacked, y, 0.0) > mnist1d.kind.loss(net(x), x, y, 0.0)


def test_every_split_has_the_same_items(net, mnist1d):
    splits = corrupted_splits(mnist1d, net, ["noise", "fgsm"], n_items=20, seed=0)
    assert list(splits)[:3] == ["clean", "noise 1", "noise 2"]
    assert len(splits) == 11
    assert {x.shape for x in splits.values()} == {(20, 1, 40)}


def scored(delta, around=0.01):
    return {"score": 0.9 + delta, "delta": delta, "delta_lo": delta - around, "delta_hi": delta + around}


def test_a_cost_is_named_only_where_it_is_beyond_that_on_clean_items():
    shared = {"status": "ok", "metric": "accuracy", "runtime": "onnx", "precision": "fp32"}
    base = shared | {"label": "baseline", "extra": {"robustness": {"clean": {"score": 0.9}, "corrupted": {}}}}
    harmed = {"noise": [scored(-0.03), scored(-0.06)], "blur": [scored(-0.02)]}
    unharmed = {"noise": [scored(-0.01), scored(-0.03)], "blur": [scored(0.0)]}
    robustness = {name: {"clean": scored(-0.02), "corrupted": each} for name, each in (("a", harmed), ("b", unharmed))}
    versions = [shared | {"label": name, "extra": {"robustness": each}} for name, each in robustness.items()]
    first, second = notes([base, *versions])
    assert "more than on clean items under noise from severity 2." in first
    assert "blur" not in first
    assert "no more than on clean items" in second
