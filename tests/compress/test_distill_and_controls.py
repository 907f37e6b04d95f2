"""Distillation, fine-tuning with a teacher, and training from scratch."""

import dataclasses

import pytest
import torch

from edgebook.compress.controls import reinitialise, train_from_scratch
from edgebook.compress.distill.student import distill
from edgebook.compress.fuse import fuse
from edgebook.compress.prune.channels import prune
from edgebook.errors import BadInput, Unsupported
from edgebook.models import build_model
from edgebook.models.macs import count_params
from edgebook.training.finetune import finetune
from edgebook.training.loop import infer, train
from edgebook.training.recipe import Recipe
from edgebook.training.store import weights_hash


def test_from_scratch_keeps_the_shape_and_nothing_else(net):
    fresh = reinitialise(net, seed=0)
    assert count_params(fresh) == count_params(net)
    assert weights_hash(fresh) != weights_hash(net)
    assert weights_hash(fresh) == weights_hash(reinitialise(net, seed=0))
    kept = [name for name, weight in fresh.named_parameters() if torch.equal(weight, net.get_parameter(name))]
    assert kept == []


def test_from_scratch_trains_the_pruned_shape_by_the_recipes_seed(net, mnist1d):
    pruned = prune(net, mnist1d, pruning_ratio=0.5, round_to=4)
    runs = [train_from_scratch(pruned, mnist1d, Recipe(1, 500, seed=seed)) for seed in (0, 0, 1)]
    assert count_params(runs[0]) == count_params(pruned)
    assert weights_hash(runs[0]) == weights_hash(runs[1])
    assert weights_hash(runs[0]) != weights_hash(runs[2])


class ClassToken(torch.nn.Module):
    """A module with a parameter of its own and no rule to draw it anew."""

    def __init__(self):
        super().__init__()
        self.token, self.head = torch.nn.Parameter(torch.zeros(3)), torch.nn.Linear(3, 2)


def test_weights_that_would_stay_learned_are_refused():
    with pytest.raises(Unsupported, match="ClassToken has parameters and no reset_parameters") as caught:
        reinitialise(ClassToken(), seed=0)
    assert caught.value.code == "structure"


def test_the_soft_loss_is_zero_for_equal_outputs_and_follows_torch(mnist1d):
    soft_loss = mnist1d.kind.soft_loss
    a, b = torch.randn(6, 10), torch.randn(6, 10)
    assert soft_loss(a, a, 3.0).abs() < 1e-6
    expected = torch.nn.KLDivLoss(reduction="batchmean")((a / 3).log_softmax(1), (b / 3).softmax(1)) * 9
    assert soft_loss(a, b, 3.0).item() == pytest.approx(expected.item(), rel=1e-5)


def test_distilling_without_the_teacher_is_plain_training(net, mnist1d):
    student = build_model("conv1d", mnist1d.input_shape, 10, widths=(6, 6, 6))
    before = weights_hash(net)
    alone = train(student, mnist1d, Recipe(1))
    taught = distill(student, mnist1d, Recipe(1), teacher=net, soft_weight=0.0)
    assert weights_hash(alone) == weights_hash(taught)
    assert weights_hash(net) == before


def test_the_teacher_is_learned_from(net, mnist1d):
    student = build_model("conv1d", mnist1d.input_shape, 10, widths=(12, 12, 12))
    taught = distill(student, mnist1d, Recipe(6, 100), teacher=net, temperature=2.0, soft_weight=1.0)
    predictions, teachers = infer(taught, mnist1d.x_val).argmax(1), infer(net, mnist1d.x_val).argmax(1)
    assert (predictions == teachers).float().mean() > 0.5
    with pytest.raises(BadInput, match="temperature = 0; allowed: > 0"):
        distill(student, mnist1d, Recipe(1), teacher=net, temperature=0)


def test_a_teacher_alone_needs_no_labels(net, mnist1d):
    """With soft_weight 1 fine-tuning goes by the teacher's outputs: shuffled labels change nothing."""
    wrong = dataclasses.replace(mnist1d, y_train=mnist1d.y_train.flip(0))
    recipe, tasks = Recipe(1, 500), (mnist1d, wrong)
    tuned = [finetune(net, task, recipe, teacher=net, soft_weight=1.0, keep="last") for task in tasks]
    assert weights_hash(tuned[0]) == weights_hash(tuned[1])
    plain = [finetune(net, task, recipe, keep="last") for task in tasks]
    assert weights_hash(plain[0]) != weights_hash(plain[1])
    with pytest.raises(BadInput, match=r"soft_weight = 0\.5 needs a teacher"):
        finetune(net, mnist1d, recipe, soft_weight=0.5)
    with pytest.raises(BadInput, match=r"soft_weight = 2\.0; allowed: 0 to 1"):
        finetune(net, mnist1d, recipe, teacher=net, soft_weight=2.0)


def test_fusing_keeps_the_outputs_and_refuses_a_network_without_batch_norm(net, digits, mnist1d):
    model = build_model("resnet8", digits.input_shape, digits.n_outputs, widths=(8, 8, 8)).eval()
    fused = fuse(model, digits)
    torch.testing.assert_close(infer(fused, digits.x_val), infer(model, digits.x_val), atol=1e-4, rtol=1e-4)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in fused.modules())
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules())
    with pytest.raises(Unsupported, match="no batch norm directly after") as caught:
        fuse(net, mnist1d)
    assert caught.value.code == "structure"
