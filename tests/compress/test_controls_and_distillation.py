"""Pruning and distilling: what they must not change, and what they must."""

import dataclasses

import pytest
import torch

from edgebook.compress.controls import reinitialise
from edgebook.compress.distill.student import distill
from edgebook.compress.prune.channels import prune
from edgebook.compress.prune.importance import IMPORTANCES
from edgebook.errors import BadInput
from edgebook.models import build_model
from edgebook.models.macs import count_macs, count_params
from edgebook.training.finetune import finetune, soft_loss
from edgebook.training.loop import infer, train
from edgebook.training.store import weights_hash


def test_ratio_0_changes_nothing(net, mnist1d):
    assert weights_hash(prune(net, mnist1d, pruning_ratio=0.0)) == weights_hash(net)


@pytest.mark.parametrize("importance", sorted(IMPORTANCES.keys() - {"bn_scale"}))
def test_pruning_leaves_its_input_alone_and_gives_a_smaller_net_that_runs(importance, net, mnist1d):
    before = weights_hash(net)
    pruned = prune(net, mnist1d, pruning_ratio=0.5, importance=importance, round_to=1)
    assert weights_hash(net) == before
    assert infer(pruned, mnist1d.x_test[:4]).shape == (4, 10)
    assert count_macs(pruned, mnist1d.input_shape) < 0.5 * count_macs(net, mnist1d.input_shape)


def test_channel_counts_are_multiples_of_round_to(digits):
    model = build_model("resnet8", digits.input_shape, digits.n_outputs)
    pruned = prune(model, digits, pruning_ratio=0.3, round_to=8)
    widths = {m.out_channels for m in pruned.modules() if isinstance(m, torch.nn.Conv2d)}
    assert all(width % 8 == 0 for width in widths)


def test_a_channel_of_zeros_is_the_one_that_goes(mnist1d):
    model = build_model("conv1d", mnist1d.input_shape, mnist1d.n_outputs).eval()
    first = next(m for m in model.modules() if isinstance(m, torch.nn.Conv1d))
    second = [m for m in model.modules() if isinstance(m, torch.nn.Conv1d)][1]
    with torch.no_grad():
        first.weight[3], first.bias[3] = 0, 0
        second.weight[:, 3] = 0
        for layer in model.modules():  # one channel of 25 goes from each layer: all others must carry weight
            if isinstance(layer, torch.nn.Conv1d):
                layer.weight[7 if layer is not first else 3] *= 0
                layer.bias[7 if layer is not first else 3] *= 0
    pruned = prune(model, mnist1d, pruning_ratio=0.04, importance="l2", round_to=1)
    assert torch.allclose(infer(pruned, mnist1d.x_test[:32]), infer(model, mnist1d.x_test[:32]), atol=1e-5)


def test_bad_ratios_and_names_are_one_line(net, mnist1d):
    for ratio in (-0.1, 1.0, 1.5):
        with pytest.raises(BadInput, match="allowed: 0 <= ratio < 1"):
            prune(net, mnist1d, pruning_ratio=ratio)
    with pytest.raises(
        BadInput, match=r"importance 'l3' is unknown; known: bn_scale, fpgm, hessian, l1, l2, lamp, random, taylor"
    ):
        prune(net, mnist1d, pruning_ratio=0.5, importance="l3")
    thin = build_model("conv1d", mnist1d.input_shape, 10, widths=(1, 1, 1))
    with pytest.raises(RuntimeError, match="nothing was removed"):
        prune(thin, mnist1d, pruning_ratio=0.5, round_to=1)


def test_counts_by_hand(mnist1d):
    mlp = build_model("mlp", mnist1d.input_shape, 10, hidden=(7,))
    assert count_params(mlp) == 40 * 7 + 7 + 7 * 10 + 10
    assert count_macs(mlp, mnist1d.input_shape) == 40 * 7 + 7 * 10
    gru = build_model("gru", mnist1d.input_shape, 10, hidden=5, directions=1, head="last")
    assert count_macs(gru, mnist1d.input_shape) == 40 * (3 * 5 * 1 + 3 * 5 * 5) + 5 * 10


def test_from_scratch_keeps_the_shape_and_nothing_else(net):
    fresh = reinitialise(net, seed=0)
    assert count_params(fresh) == count_params(net)
    assert weights_hash(fresh) != weights_hash(net)


def test_the_soft_loss_is_zero_for_equal_outputs_and_follows_torch():
    a, b = torch.randn(6, 10), torch.randn(6, 10)
    assert soft_loss(a, a, 3.0).abs() < 1e-6
    expected = torch.nn.KLDivLoss(reduction="batchmean")((a / 3).log_softmax(1), (b / 3).softmax(1)) * 9
    assert soft_loss(a, b, 3.0) == pytest.approx(expected.item(), rel=1e-5)


def test_distilling_without_the_teacher_is_plain_training(net, mnist1d):
    student = build_model("conv1d", mnist1d.input_shape, 10, widths=(6, 6, 6))
    before = weights_hash(net)
    alone = train(student, mnist1d, epochs=1)
    taught = distill(student, mnist1d, teacher=net, soft_weight=0.0, epochs=1)
    assert weights_hash(alone) == weights_hash(taught)
    assert weights_hash(net) == before


def test_the_teacher_is_learned_from(net, mnist1d):
    student = build_model("conv1d", mnist1d.input_shape, 10, widths=(12, 12, 12))
    taught = distill(student, mnist1d, teacher=net, temperature=2.0, soft_weight=1.0, epochs=6, batch_size=100)
    answers, wanted = infer(taught, mnist1d.x_val).argmax(1), infer(net, mnist1d.x_val).argmax(1)
    assert (answers == wanted).float().mean() > 0.5
    with pytest.raises(BadInput, match="temperature = 0; allowed: > 0"):
        distill(student, mnist1d, teacher=net, temperature=0)


def test_a_teacher_alone_needs_no_labels(net, mnist1d):
    """With soft_weight 1 fine-tuning goes by the teacher's outputs: shuffled labels change nothing."""
    wrong = dataclasses.replace(mnist1d, y_train=mnist1d.y_train.flip(0))
    tuned = [
        finetune(net, task, teacher=net, soft_weight=1.0, epochs=1, batch_size=500, keep="last") for task in (mnist1d, wrong)
    ]
    assert weights_hash(tuned[0]) == weights_hash(tuned[1])
    plain = [finetune(net, task, teacher=None, epochs=1, batch_size=500, keep="last") for task in (mnist1d, wrong)]
    assert weights_hash(plain[0]) != weights_hash(plain[1])
    with pytest.raises(BadInput, match=r"soft_weight = 0\.5 needs a teacher"):
        finetune(net, mnist1d, teacher=None, soft_weight=0.5, epochs=1)
    with pytest.raises(BadInput, match=r"soft_weight = 2\.0; allowed: 0 to 1"):
        finetune(net, mnist1d, teacher=net, soft_weight=2.0, epochs=1)
