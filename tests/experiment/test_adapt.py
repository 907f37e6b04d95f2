"""Training on the device: every runtime makes PyTorch's steps, and shifted data are won back."""

import numpy as np
import pytest
import torch
from torch import nn

from edgebook.boards import emulated
from edgebook.errors import BadInput, Unsupported
from edgebook.experiment.adapt import Adaptation, adapt, recovered
from edgebook.models import build_model
from edgebook.report import adaptation
from edgebook.runtimes.c import host
from edgebook.runtimes.c import train_step as c_step
from edgebook.runtimes.train_step import TRAINERS, Layer, Lesson, train_on
from edgebook.tasks.shifts import shifted
from edgebook.training.last_layer import sgd, split

needs_cc = pytest.mark.skipif(bool(host.missing()), reason=str(host.missing()))
needs_tools = pytest.mark.skipif(bool(emulated.missing()), reason=str(emulated.missing()))


@pytest.fixture(scope="module")
def lesson():
    """12 steps on 5 random items of 7 features and 4 classes."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 7)).astype(np.float32)
    return Lesson(x, rng.integers(0, 4, 5), rng.integers(0, 5, 12), rate=0.1)


@pytest.fixture(scope="module")
def head():
    torch.manual_seed(0)
    return nn.Linear(7, 4)


def layer_of(head):
    return Layer(head.weight.detach().numpy().copy(), head.bias.detach().numpy().copy())


@needs_cc
@pytest.mark.parametrize("name", TRAINERS)
def test_every_runtime_makes_the_steps_of_pytorch(name, head, lesson, mnist1d, tmp_path):
    x, y, order = (torch.from_numpy(part) for part in (lesson.x, lesson.y, lesson.order))
    control = layer_of(sgd(head, mnist1d, x, y, order=order, rate=lesson.rate))
    trained = train_on(name, layer_of(head), lesson, tmp_path)
    assert np.allclose(trained.layer.weight, control.weight, atol=1e-5)
    assert np.allclose(trained.layer.bias, control.bias, atol=1e-5)
    assert np.abs(trained.layer.weight - layer_of(head).weight).max() > 0.05
    assert trained.size_bytes == (next(tmp_path.glob("train_step.*"))).stat().st_size


@needs_tools
def test_a_step_is_counted_and_gives_the_same_bytes_on_every_core(head, lesson):
    source, items = c_step.as_network(layer_of(head), lesson.rate), c_step.as_items(lesson, 3)
    counts = [emulated.measure(source, items, core=core, n_steps=3).instructions for core in ("cortex-m0", "cortex-m4")]
    assert all(4 * 7 * 2 * 20 < count < 4 * 7 * 2 * 500 for count in counts)  # of a multiplication and an addition in software


@needs_cc
def test_shifted_data_are_won_back_by_the_last_layer_alone(net, mnist1d):
    moved = shifted(mnist1d, "sensor", strength=0.3)
    lines = adapt(net, mnist1d, moved, Adaptation(n_steps=300), runtimes=["c"])
    assert [line["trained by"] for line in lines] == ["nothing", "PyTorch", "c"]
    before, control, trained = (line["shifted data"] for line in lines)
    assert before[0] < lines[0]["original data"][0] - 0.1
    assert trained == pytest.approx(control, abs=0.005)
    assert trained[1] > before[2]  # intervals apart
    assert recovered(lines)["c"] == pytest.approx((trained[0] - before[0]) / (lines[0]["original data"][0] - before[0]))
    shown = adaptation.table(lines, "accuracy")
    assert list(shown.index) == ["nothing", "PyTorch", "c"]
    assert shown.loc["c", "steps"] == "300"


def test_a_network_is_its_features_and_its_last_layer(net, mnist1d):
    (features, last), x = split(net, mnist1d), mnist1d.x_test[:20]
    with torch.no_grad():
        assert torch.allclose(last(features(x)), net.eval()(x), atol=1e-5)
    with pytest.raises(Unsupported, match="not those of a dense layer"):
        split(nn.Sequential(nn.Flatten(), nn.Linear(40, 10), nn.ReLU()), mnist1d)


def test_shifts_move_items_and_nothing_else(mnist1d, digits):
    noisy = shifted(mnist1d, "noise", strength=0.5, seed=1)
    assert torch.equal(noisy.y_test, mnist1d.y_test)
    assert (noisy.x_test - mnist1d.x_test).std() == pytest.approx(0.5 * mnist1d.x_test.std().item(), rel=0.02)
    assert torch.equal(noisy.x_test, shifted(mnist1d, "noise", strength=0.5, seed=1).x_test)
    turned = shifted(digits, "rotation", strength=1.0).x_test
    assert torch.allclose(torch.rot90(turned, 1, (2, 3)), digits.x_test, atol=1e-4) or torch.allclose(
        torch.rot90(turned, -1, (2, 3)), digits.x_test, atol=1e-4
    )
    assert shifted(mnist1d, "sensor", strength=0.2).x_test.std() == pytest.approx(0.8 * mnist1d.x_test.std().item(), rel=1e-4)
    with pytest.raises(BadInput, match=r"shift = 'rotation' is for images; the items are \(1, 40\)"):
        shifted(mnist1d, "rotation", strength=0.2)


def test_a_task_without_classes_is_refused():
    from edgebook.tasks import load_task

    task = load_task("diabetes")
    with pytest.raises(BadInput, match="has no classes"):
        adapt(build_model("mlp", task.input_shape, task.n_outputs), task, task, Adaptation(), runtimes=[])
