"""Fine-tuning with and without a teacher, and recipes from presets."""

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from edgebook.errors import BadInput
from edgebook.models import build_model
from edgebook.training.finetune import finetune, loss_with_teacher
from edgebook.training.loop import seed_all, train
from edgebook.training.recipe import Recipe, recipe_from

RECIPE = Recipe(epochs=1, batch_size=200, lr=0.003, label_smoothing=0.1, device="cpu")


def test_without_a_teacher_it_is_training(net, mnist1d):
    tuned, trained = finetune(net, mnist1d, RECIPE), train(net, mnist1d, RECIPE)
    assert all(torch.equal(a, b) for a, b in zip(tuned.state_dict().values(), trained.state_dict().values()))


@pytest.mark.parametrize("soft_weight", [0.3, 1.0])
def test_the_loss_is_the_weighted_sum_of_both(net, mnist1d, soft_weight):
    seed_all(0)
    student = build_model("conv1d", mnist1d.input_shape, mnist1d.n_outputs).eval()
    x, y = mnist1d.x_train[:50], mnist1d.y_train[:50]
    loss = loss_with_teacher(net, mnist1d, RECIPE, soft_weight=soft_weight, temperature=2.0)
    with torch.no_grad():
        outputs, teacher = student(x), net.eval()(x)
    soft = 4 * F.kl_div(F.log_softmax(outputs / 2, 1), F.softmax(teacher / 2, 1), reduction="batchmean")
    hard = F.cross_entropy(outputs, y, label_smoothing=0.1)
    assert float(loss(student, x, y, 0).detach()) == pytest.approx(float(soft_weight * soft + (1 - soft_weight) * hard), rel=1e-5)


def test_the_teacher_is_neither_changed_nor_given_a_gradient(net, mnist1d):
    teacher = copy.deepcopy(net)
    teacher.zero_grad(set_to_none=True)
    finetune(net, mnist1d, RECIPE, teacher=teacher, soft_weight=0.5)
    assert all(torch.equal(before, after) for before, after in zip(net.state_dict().values(), teacher.state_dict().values()))
    assert all(parameter.grad is None for parameter in teacher.parameters())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"soft_weight": 0.5}, "soft_weight = 0.5 needs a teacher"),
        ({"soft_weight": 1.5, "teacher": True}, r"soft_weight = 1.5; allowed: 0 to 1"),
        ({"soft_weight": 0.5, "temperature": 0, "teacher": True}, r"temperature = 0; allowed: > 0"),
    ],
)
def test_what_cannot_work_is_refused(net, mnist1d, arguments, message):
    teacher = net if arguments.get("teacher") else None
    with pytest.raises(BadInput, match=message):
        finetune(net, mnist1d, RECIPE, **{**arguments, "teacher": teacher})


def test_later_layers_of_a_recipe_win_field_by_field():
    preset = {"lr": 0.02, "augment": True, "epochs": None}  # None: not given
    recipe = recipe_from(preset, defaults={"epochs": 5, "lr": 0.1}, seed=7, device="cpu")
    assert recipe == Recipe(epochs=5, lr=0.02, augment=True, seed=7, device="cpu")
    with pytest.raises(BadInput, match=r"recipe: learning_rate is unknown; allowed: epochs, batch_size, lr"):
        recipe_from({"learning_rate": 0.1, "epochs": 1})


@pytest.mark.parametrize(
    ("n_items", "batch_size", "steps"), [(400, 200, 2), (402, 200, 3), (401, 200, 2), (1, 200, 1), (3, 1, 3)]
)
def test_the_last_batch_may_be_short_but_no_single_item(n_items, batch_size, steps):
    assert replace(RECIPE, batch_size=batch_size).steps_per_epoch(n_items) == steps
