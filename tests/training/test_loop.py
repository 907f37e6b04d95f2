"""Training: repeatable, leaves its input alone, keeps the best epoch, and lets techniques in through three plain functions."""

from dataclasses import replace

import pytest
import torch

from edgebook.errors import BadInput
from edgebook.models import build_model
from edgebook.tasks import load_task
from edgebook.training.loop import evaluate, infer, pick_device, seed_all, train
from edgebook.training.recipe import Recipe

ONE_EPOCH = Recipe(epochs=1, device="cpu")


def fresh(task, name="conv1d", **shape):
    seed_all(3)
    return build_model(name, task.input_shape, task.n_outputs, **shape)


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.fixture(scope="module")
def far_from_zero():
    """Diabetes with targets that are a hundred times as large: every score is far below -1."""
    task = load_task("diabetes")
    return replace(task, y_train=100 * task.y_train, y_val=100 * task.y_val, y_test=100 * task.y_test)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(mnist1d):
    recipe = replace(ONE_EPOCH, epochs=2)
    first, again, other = (train(fresh(mnist1d), mnist1d, replace(recipe, seed=seed)) for seed in (0, 0, 1))
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
    assert evaluate(net, mnist1d) == pytest.approx(max(epoch["val_score"] for epoch in net.history))


def test_the_best_epoch_is_kept_also_where_scores_are_below_minus_one(far_from_zero):
    """A rate that grows too high: the last epoch is not the best, and every score is below -1."""
    model = fresh(far_from_zero, "mlp", hidden=[16])
    recipe = Recipe(epochs=12, batch_size=32, lr=0.3, device="cpu")
    best, last = (train(model, far_from_zero, recipe, keep=keep) for keep in ("best", "last"))
    scores = [epoch["val_score"] for epoch in best.history]
    assert max(scores) < -1
    assert scores[-1] < max(scores)
    assert evaluate(best, far_from_zero) == pytest.approx(max(scores), rel=1e-6)
    assert evaluate(last, far_from_zero) == pytest.approx(scores[-1], rel=1e-6)


def test_evaluate_is_the_score_of_the_metric_on_each_split(net, mnist1d):
    for split, x, y in (("val", mnist1d.x_val, mnist1d.y_val), ("test", mnist1d.x_test, mnist1d.y_test)):
        assert evaluate(net, mnist1d, split) == pytest.approx(float((infer(net, x).argmax(1) == y).float().mean()))


@pytest.mark.parametrize("n_items", [1, 2, 7, 10, 11, 13])
def test_any_number_of_steps_and_a_last_batch_of_one_item(n_items):
    """One to seven steps of two items; batch norm cannot do with a single one."""
    task = load_task("vibration")
    few = replace(task, x_train=task.x_train[:n_items], y_train=task.y_train[:n_items])
    model, steps = fresh(few, "autoencoder" if n_items > 1 else "mlp", **({"widths": [4]} if n_items > 1 else {})), []
    recipe = Recipe(epochs=1, batch_size=2, device="cpu")
    trained = train(model, few, recipe, after_step=lambda model, step: steps.append(step))
    assert steps == list(range(recipe.steps_per_epoch(n_items)))
    assert not same(trained, model)


def test_another_metric_of_the_task_decides(net, mnist1d):
    assert evaluate(net, replace(mnist1d, metric_name="macro_f1")) != evaluate(net, mnist1d)


def test_hooks_run_every_step_in_their_order(mnist1d):
    calls = []

    def before(model, step):
        calls.append(("before", step, model.training))

    def after(model, step):
        calls.append(("after", step, model.training))

    train(fresh(mnist1d), mnist1d, replace(ONE_EPOCH, batch_size=1800), before_step=before, after_step=after)
    assert calls == [("before", 0, True), ("after", 0, True), ("before", 1, True), ("after", 1, True)]


def test_a_loss_that_is_given_replaces_that_of_the_kind(mnist1d):
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
