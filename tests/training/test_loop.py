"""Training: repeatable, leaves its input alone, and lets techniques in through three plain functions."""

from dataclasses import replace

import pytest
import torch

from edgebook.errors import BadInput
from edgebook.models import build_model
from edgebook.training.loop import evaluate, infer, pick_device, seed_all, train
from edgebook.training.recipe import Recipe

ONE_EPOCH = Recipe(epochs=1, device="cpu")


def fresh(task, name="conv1d", **shape):
    seed_all(3)
    return build_model(name, task.input_shape, task.n_outputs, **shape)


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_the_same_seed_gives_the_same_weights_and_another_does_not(mnist1d):
    first, again, other = (train(fresh(mnist1d), mnist1d, replace(ONE_EPOCH, epochs=2, seed=seed)) for seed in (0, 0, 1))
    assert same(first, again)
    assert not same(first, other)


def test_the_input_model_is_untouched(mnist1d):
    model = fresh(mnist1d)
    train(model, mnist1d, ONE_EPOCH)
    assert same(model, fresh(mnist1d))


def test_no_epochs_change_nothing(mnist1d):
    model = fresh(mnist1d)
    assert same(train(model, mnist1d, replace(ONE_EPOCH, epochs=0)), model)


def test_it_learns_far_beyond_chance(net, mnist1d):
    assert evaluate(net, mnist1d, "test") > 0.5
    assert net.history[-1]["loss"] < net.history[0]["loss"]


def test_the_best_epoch_on_validation_is_kept(net, mnist1d):
    assert evaluate(net, mnist1d) == pytest.approx(max(e["val_score"] for e in net.history))


def test_hooks_run_every_step_in_their_order(mnist1d):
    calls = []
    train(
        fresh(mnist1d),
        mnist1d,
        replace(ONE_EPOCH, batch_size=1800),
        before_step=lambda model, step: calls.append(("before", step, model.training)),
        after_step=lambda model, step: calls.append(("after", step, model.training)),
    )
    assert calls == [("before", 0, True), ("after", 0, True), ("before", 1, True), ("after", 1, True)]


def test_a_loss_of_ones_own_is_used(mnist1d):
    still = train(fresh(mnist1d), mnist1d, ONE_EPOCH, loss=lambda model, x, y, step: model(x).sum() * 0.0)
    assert same(still, fresh(mnist1d))


def test_infer_gives_back_the_mode_and_does_not_depend_on_the_batch(net, mnist1d):
    net.train()
    small, large = (infer(net, mnist1d.x_test[:100], batch_size=size) for size in (7, 100))
    assert net.training
    net.eval()
    assert torch.allclose(small, large, atol=1e-5)


def test_what_cannot_work_is_said(mnist1d):
    with pytest.raises(BadInput, match=r"optimizer: 'lion'; allowed: adam, sgd"):
        train(fresh(mnist1d), mnist1d, replace(ONE_EPOCH, optimizer="lion"))
    with pytest.raises(BadInput, match=r"device: 'tpu' is not here; allowed: auto"):
        pick_device("tpu")
    with pytest.raises(FloatingPointError, match="smaller lr"):
        train(fresh(mnist1d), mnist1d, replace(ONE_EPOCH, lr=1e30, optimizer="sgd"))
