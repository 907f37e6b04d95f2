"""Every data set: shapes, fixed splits, global generators untouched, a fingerprint of its data."""

import random
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from edgebook.errors import BadInput
from edgebook.tasks import TASKS, fashion_mnist, load_task
from edgebook.tasks.kinds import KINDS

NO_FASHION = "Fashion-MNIST is not on this machine: apt-get install dataset-fashion-mnist, or set EDGEBOOK_DATA"
SIZES = {  # train, val, test; shape of an item, of its target; outputs
    "diabetes": ((283, 71, 88), (10,), (1,), 1),
    "digits": ((1294, 144, 359), (1, 8, 8), (), 10),
    "fashion_mnist": ((55000, 5000, 10000), (1, 28, 28), (), 10),
    "mnist1d": ((3600, 400, 1000), (1, 40), (), 10),
    "shapes": ((1000, 200, 400), (1, 16, 16), (16, 16), 3),
    "vibration": ((2000, 400, 800), (64,), (), 64),
}
STANDARDIZED = ("diabetes", "fashion_mnist", "mnist1d", "vibration")


@pytest.fixture(scope="module", params=sorted(TASKS))
def task(request):
    if request.param == "fashion_mnist" and fashion_mnist.local_folder() is None:
        pytest.skip(NO_FASHION)  # never downloaded by a test
    return load_task(request.param)


def inputs(task) -> list[torch.Tensor]:
    return [task.x_train, task.x_val, task.x_test]


def targets(task) -> list[torch.Tensor]:
    return [task.y_train, task.y_val, task.y_test]


def keys(x: torch.Tensor) -> list[bytes]:
    return [item.tobytes() for item in x.numpy()]


def test_every_kind_has_a_data_set():
    assert {load_task(name).kind_name for name in TASKS if name not in ("fashion_mnist", "mnist1d")} == KINDS.keys()


def test_shapes_types_and_sources(task):
    sizes, shape, target_shape, n_outputs = SIZES[task.name]
    assert tuple(map(len, inputs(task))) == sizes == tuple(map(len, targets(task)))
    assert (task.input_shape, task.n_outputs) == (shape, n_outputs)
    assert {tuple(y.shape[1:]) for y in targets(task)} == {target_shape}
    assert {x.dtype for x in inputs(task)} == {torch.float32}
    assert {y.dtype for y in targets(task)} == {torch.float32 if task.kind_name == "regression" else torch.int64}
    assert all(torch.isfinite(part).all() for part in (*inputs(task), *targets(task)))
    assert "unknown" not in (task.licence, task.source)
    assert task.preprocess.keys() >= {"raw", "scale", "offset"}


def test_every_part_has_every_class_in_its_share(task):
    if task.kind_name == "classification":
        share = {part: torch.bincount(y) / len(y) for part, y in (("val", task.y_val), ("train", task.y_train))}
        assert len(share["train"]) == 10
        assert share["train"].min() > 0.08
        # one item more or less in a class of the validation set
        assert (share["val"] - share["train"]).abs().max() <= 1.2 / len(task.y_val)
    elif task.kind_name == "regression":
        quantiles = torch.linspace(0.1, 0.9, 9)
        of_parts = [torch.quantile(y, quantiles) for y in targets(task)]
        assert all((quantile - of_parts[0]).abs().max() < 0.25 for quantile in of_parts[1:])
    elif task.kind_name == "segmentation":
        assert all(torch.equal(torch.unique(y), torch.arange(3)) for y in targets(task))
    else:  # normal items only to learn from, both to choose and to test on
        assert [torch.bincount(y).tolist() for y in targets(task)] == [[2000], [200, 200], [400, 400]]


def test_inputs_are_about_normalised(task):
    if task.name == "digits":
        assert (float(task.x_train.min()), float(task.x_train.max())) == (0, 1)
    elif task.name in STANDARDIZED:
        assert abs(float(task.x_train.mean())) < 0.01
        assert abs(float(task.x_train.std()) - 1) < 0.01
    else:
        assert 0.9 < float(task.x_train.abs().quantile(0.99)) < 1.2


def test_no_item_is_in_two_parts(task):
    train, val, test = (set(keys(x)) for x in inputs(task))
    assert (len(train), len(val)) == (len(task.x_train), len(task.x_val))
    assert not (val & train | val & test | train & test)


def test_a_second_load_is_identical_and_leaves_the_generators_alone(task):
    random.seed(1), np.random.seed(2), torch.manual_seed(3)
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    again = load_task(task.name)
    assert random.getstate() == before[0]
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), before[1], strict=True))
    assert torch.equal(torch.get_rng_state(), before[2])
    assert again.fingerprint == task.fingerprint


def test_the_fingerprint_follows_data_kind_and_metric(task):
    y_test = task.y_test.clone()
    y_test[-1] = 1 - y_test[-1]
    assert replace(task, y_test=y_test).fingerprint != task.fingerprint
    other = next(name for name in KINDS if name != task.kind_name)
    assert replace(task, kind_name=other).fingerprint != task.fingerprint
    assert replace(task, metric_name="macro_f1").fingerprint != task.fingerprint
    assert replace(task, metric_name=task.kind.metric).fingerprint == task.fingerprint
    assert replace(task, licence="another").fingerprint == task.fingerprint


def test_mnist1d_is_the_published_set():
    task = load_task("mnist1d")
    everything = torch.cat(inputs(task))
    assert float(everything.mean()) == pytest.approx(0, abs=1e-6)
    assert float(everything.std(correction=0)) == pytest.approx(1, abs=1e-6)
    # 500 of each digit in the published 5,000
    assert torch.bincount(torch.cat(targets(task))).tolist() == [500] * 10


@pytest.mark.parametrize("name", ["digits", "diabetes"])
def test_preprocess_turns_raw_into_x(name):
    from sklearn.datasets import load_diabetes, load_digits

    raw = torch.from_numpy({"digits": load_digits, "diabetes": load_diabetes}[name]().data)
    task = load_task(name)
    x = (raw * task.preprocess["scale"] + task.preprocess["offset"]).float()
    parts = torch.cat(inputs(task)).flatten(1)
    assert sorted(keys(x)) == sorted(keys(parts))  # every item is in exactly one part


def test_targets_of_diabetes_are_the_published_progression():
    from sklearn.datasets import load_diabetes

    task = load_task("diabetes")
    progression = torch.cat(targets(task)).double().flatten() * 77.09 + 152.13
    assert sorted(progression.round().tolist()) == sorted(load_diabetes().target.tolist())


def test_a_straight_line_explains_what_it_is_known_to_explain():
    """Least squares reach R2 of about a half on diabetes (Efron et al. 2004: 0.52 on all patients)."""
    from sklearn.linear_model import LinearRegression

    task = load_task("diabetes")
    line = LinearRegression().fit(task.x_train, task.y_train)
    assert 0.4 < line.score(task.x_test, task.y_test) < 0.6


def test_faults_of_vibration_are_partly_hidden_by_load_and_speed():
    """A window's energy alone finds some of the faults; distance from the normal windows finds more, and not all."""
    from sklearn.covariance import EmpiricalCovariance
    from sklearn.metrics import roc_auc_score

    task = load_task("vibration")
    energy = task.x_test.mean(1)
    distance = EmpiricalCovariance().fit(task.x_train).mahalanobis(task.x_test)
    assert 0.5 < roc_auc_score(task.y_test, energy) + 0.05 < roc_auc_score(task.y_test, distance) < 0.99


def test_brightness_alone_does_not_tell_the_classes_of_shapes():
    task = load_task("shapes")
    x, y = task.x_test.flatten(), task.y_test.flatten()
    discs, squares = x[y == 1], x[y == 2]
    assert abs(float(discs.mean() - squares.mean())) < 0.1
    assert abs(float(discs.abs().mean() - squares.abs().mean())) < 0.05
    assert 0.6 < float((y == 0).float().mean()) < 0.9


def test_unknown_task_lists_the_known_ones():
    with pytest.raises(BadInput, match=r"'mnist'.*diabetes, digits, fashion_mnist, mnist1d, shapes, vibration"):
        load_task("mnist")


def test_importing_tasks_loads_no_heavy_library():
    code = "import sys, edgebook.tasks; print(*({'sklearn', 'pooch', 'mnist1d', 'matplotlib', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
