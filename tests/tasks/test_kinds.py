"""Kinds: losses, predictions and agreement by hand, against PyTorch and scikit-learn; each kind learns its tiny task."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import r2_score

from edgebook.metrics import METRICS
from edgebook.models import build_model
from edgebook.tasks import load_task
from edgebook.tasks.kinds import KINDS
from edgebook.training.finetune import finetune
from edgebook.training.loop import evaluate, infer, seed_all, train
from edgebook.training.recipe import Recipe

SHAPES = {  # outputs, x, y of a batch of 6
    "classification": ((6, 4), (6, 3), torch.tensor([0, 1, 2, 3, 0, 1])),
    "regression": ((6, 2), (6, 3), torch.randn(6, 2)),
    "anomaly": ((6, 12), (6, 1, 3, 4), torch.zeros(6, dtype=torch.long)),
    "segmentation": ((6, 3, 4, 4), (6, 1, 4, 4), torch.arange(96).reshape(6, 4, 4) % 3),
}
TINY = {  # task, model, shape of the model, recipe, score that has learned something
    "classification": ("digits", "mlp", {"hidden": [32]}, Recipe(epochs=6, batch_size=64, device="cpu"), 0.85),
    "regression": ("diabetes", "mlp", {"hidden": [16]}, Recipe(epochs=10, batch_size=32, device="cpu"), -0.65),
    "anomaly": ("vibration", "autoencoder", {"widths": [32], "bottleneck": 8}, Recipe(epochs=8, device="cpu"), 0.8),
    "segmentation": ("shapes", "unet", {"widths": [8, 16]}, Recipe(epochs=5, batch_size=32, device="cpu"), 0.45),
}


@pytest.fixture(params=sorted(KINDS))
def kind(request):
    return KINDS[request.param]


def batch(kind) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    outputs, x, y = SHAPES[kind.name]
    return torch.randn(outputs), torch.randn(x), y


def test_every_kind_is_covered_here():
    assert SHAPES.keys() == TINY.keys() == KINDS.keys()


def test_the_loss_is_a_mean_over_items(kind):
    outputs, x, y = batch(kind)
    whole = kind.loss(outputs, x, y, 0.0)
    halves = [kind.loss(outputs[part], x[part], y[part], 0.0) for part in (slice(0, 3), slice(3, 6))]
    assert whole.shape == ()
    assert float(whole) == pytest.approx(float(sum(halves)) / 2, rel=1e-5)


def test_following_the_gradient_lowers_the_loss(kind):
    outputs, x, y = batch(kind)
    outputs.requires_grad_()
    loss = kind.loss(outputs, x, y, 0.0)
    (gradient,) = torch.autograd.grad(loss, outputs)
    assert kind.loss(outputs - 0.1 * gradient, x, y, 0.0) < loss


def test_the_soft_loss_is_zero_for_the_teachers_outputs_and_a_mean_over_items(kind):
    outputs, _, _ = batch(kind)
    teacher = torch.randn(outputs.shape)
    assert float(kind.soft_loss(teacher, teacher, 4.0)) == pytest.approx(0, abs=1e-6)
    whole = kind.soft_loss(outputs, teacher, 4.0)
    halves = [kind.soft_loss(outputs[part], teacher[part], 4.0) for part in (slice(0, 3), slice(3, 6))]
    assert float(whole) == pytest.approx(float(sum(halves)) / 2, rel=1e-5)
    assert float(whole) > 0


def test_losses_are_those_of_pytorch():
    outputs, x, y = batch(KINDS["classification"])
    assert torch.equal(KINDS["classification"].loss(outputs, x, y, 0.1), F.cross_entropy(outputs, y, label_smoothing=0.1))
    teacher = torch.randn(outputs.shape)
    soft = F.kl_div(F.log_softmax(outputs / 3, 1), F.softmax(teacher / 3, 1), reduction="batchmean") * 9
    assert float(KINDS["classification"].soft_loss(outputs, teacher, 3.0)) == pytest.approx(float(soft), rel=1e-5)
    outputs, x, y = batch(KINDS["anomaly"])
    assert float(KINDS["anomaly"].loss(outputs, x, y, 0.0)) == pytest.approx(float(F.mse_loss(outputs, x.reshape(6, 12))))
    outputs, x, y = batch(KINDS["segmentation"])
    of_pixels = F.cross_entropy(outputs.permute(0, 2, 3, 1).reshape(-1, 3), y.flatten())
    assert float(KINDS["segmentation"].loss(outputs, x, y, 0.0)) == pytest.approx(float(of_pixels), rel=1e-6)


def test_predictions_have_one_entry_per_item(kind):
    outputs, x, y = (tensor.numpy() for tensor in batch(kind))
    predictions = kind.predict(outputs, x)
    assert predictions.dtype == {"classification": np.int16, "segmentation": np.int16}.get(kind.name, np.float32)
    assert predictions.shape == y.shape


def test_agreement_is_one_with_itself_less_with_another_and_never_outside_0_and_1(kind):
    outputs = batch(kind)[0].numpy()
    random = np.random.default_rng(0)
    near, far = outputs + random.normal(0, 0.2, outputs.shape), random.normal(0, 30, outputs.shape)
    assert kind.agreement(outputs, outputs) == 1
    assert 0 <= kind.agreement(far, outputs) < kind.agreement(near, outputs) <= 1


def test_agreement_by_hand():
    logits, other = np.array([[2.0, 1.0], [0.0, 1.0], [3.0, 0.0]]), np.array([[2.0, 9.0], [0.0, 1.0], [3.0, 0.0]])
    assert KINDS["classification"].agreement(other, logits) == pytest.approx(2 / 3)
    values, reference = np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [2.0], [3.0]])
    assert KINDS["regression"].agreement(values, reference) == pytest.approx(1 - 1 / 2)
    assert KINDS["regression"].agreement(values, reference) == pytest.approx(r2_score(reference, values))
    assert KINDS["regression"].agreement(np.ones((3, 1)), np.ones((3, 1))) == 1
    assert KINDS["regression"].agreement(np.ones((3, 1)), np.zeros((3, 1))) == 0


def test_how_often_two_segmentations_agree():
    a = np.eye(2)[np.array([[[0, 1], [1, 1]]])].transpose(0, 3, 1, 2)
    b = np.eye(2)[np.array([[[0, 1], [1, 0]]])].transpose(0, 3, 1, 2)
    assert KINDS["segmentation"].agreement(a, b) == 0.75


@pytest.fixture(scope="module", params=sorted(TINY))
def learned(request):
    """(task, trained network, recipe, score that has learned something)."""
    name, model, shape, recipe, enough = TINY[request.param]
    task = load_task(name)
    seed_all(0)
    return task, train(build_model(model, task.input_shape, task.n_outputs, **shape), task, recipe), recipe, enough


def test_each_kind_learns_its_tiny_task(learned):
    task, net, _, enough = learned
    assert evaluate(net, task, "test") > enough > task.metric.chance(task.y_test.numpy())
    scores = [epoch["val_score"] for epoch in net.history]
    assert evaluate(net, task, "val") == pytest.approx(max(scores), abs=1e-6)


def test_each_kind_can_be_fine_tuned_with_a_teacher(learned):
    """The teacher alone (soft_weight 1): a fresh student comes to agree with it, and labels are not needed."""
    task, net, recipe, _ = learned
    seed_all(1)
    fresh = build_model(net.spec["model"], task.input_shape, task.n_outputs, **net.spec["shape"])
    student = finetune(fresh, task, recipe, teacher=net, soft_weight=1.0, temperature=2.0)
    x, teacher = task.x_test, infer(net, task.x_test).numpy()
    before, after = (task.kind.agreement(infer(model, x).numpy(), teacher) for model in (fresh, student))
    assert after > max(before, 0.5)


def test_rows_can_be_made_of_each_kind(learned):
    task, net, _, _ = learned
    x, y = task.x_test.numpy(), task.y_test.numpy()
    outputs = infer(net, task.x_test).numpy()
    items = task.metric.item_scores(outputs, x, y)
    lo, hi = task.metric.interval(items, y)
    assert lo < task.metric.score(items, y) < hi
    assert METRICS[task.metric.name] is task.metric
