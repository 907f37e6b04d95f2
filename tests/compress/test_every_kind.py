"""Techniques know neither classes nor accuracy: each works on every kind of task, by the kind's own loss and metric."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgebook.compress.controls import train_from_scratch
from edgebook.compress.prune import IMPORTANCES
from edgebook.compress.prune.channels import prune, prune_in_steps
from edgebook.compress.prune.importance import has_batch_norm
from edgebook.compress.prune.latency_aware import training_loss
from edgebook.compress.prune.sensitivity import ratios_for_macs, scan, table
from edgebook.compress.quantize.codebook import codebook, finetune_codebook
from edgebook.compress.quantize.equalize import correct_bias, equalize
from edgebook.compress.quantize.mixed_precision import assign, sensitivity
from edgebook.compress.sparsity.masks import storage
from edgebook.compress.sparsity.sparsify import sparsify, train_l1
from edgebook.models.macs import count_macs
from edgebook.tasks.kinds import KINDS
from edgebook.tasks.task import Task
from edgebook.training.loop import evaluate, infer
from edgebook.training.recipe import Recipe

RECIPE = Recipe(2, 32, lr=0.003)


def dense(n_outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, n_outputs))


def per_pixel(n_outputs):
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, n_outputs, 1)
    )


def targets(kind, x):
    """What can be learned from images (n, 1, 8, 8)."""
    bright = x.flatten(1).mean(1)
    return {
        "classification": (bright > 0).long(),
        "regression": torch.stack([bright, x.flatten(1).std(1)], 1) * 100,
        "anomaly": (bright > 0).long(),
        "segmentation": (x[:, 0] > 0).long(),
    }[kind]


@pytest.fixture(scope="module", params=KINDS)
def case(request):
    """(task, network) of a kind: 8 x 8 images of noise, whose targets follow from the pixels."""
    kind = request.param
    torch.manual_seed(0)
    parts = [torch.randn(n, 1, 8, 8) for n in (128, 64, 64)]
    splits = [tensor for x in parts for tensor in (x, targets(kind, x))]
    classes = ("no", "yes") if KINDS[kind].has_classes else ()
    task = Task(f"tiny_{kind}", *splits, class_names=classes, kind_name=kind)
    net = (per_pixel if kind == "segmentation" else dense)(task.n_outputs).eval()
    net.spec = {"model": f"tiny_{kind}"}
    return task, net


@pytest.mark.parametrize("importance", IMPORTANCES)
def test_pruning(case, importance):
    task, net = case
    if importance == "bn_scale":
        assert not has_batch_norm(net)
        return
    smaller = prune(net, task, macs_ratio=0.5, importance=importance, round_to=1)
    assert 0.3 < count_macs(smaller, task.input_shape) / count_macs(net, task.input_shape) < 0.7
    assert infer(smaller, task.x_val).shape == infer(net, task.x_val).shape


def test_what_follows_from_scores_and_losses(case):
    task, net = case
    tuned = prune_in_steps(net, task, RECIPE, pruning_ratio=0.5, round_to=1, soft_weight=0.5)
    assert len(tuned.history) == RECIPE.epochs
    assert training_loss(net, task) == pytest.approx(
        task.kind.loss(infer(net, task.x_train), task.x_train, task.y_train, 0.0).item(), rel=1e-5
    )
    scanned = scan(net, task, ratios=[0.5])
    assert {row["metric"] for row in scanned} == {task.metric.name}
    assert scanned[0]["val_score"] == evaluate(net, task)
    assert table(scanned).shape == (2, 2)
    ratios = ratios_for_macs(net, task, scanned=scanned, macs_ratio=0.3)
    assert set(ratios) == {row["asked"]["layer"] for row in scanned}
    assert len(train_from_scratch(tuned, task, RECIPE).history) == RECIPE.epochs


def test_sparsity(case):
    task, net = case
    assert storage(sparsify(net, task, RECIPE, sparsity=0.8, frequency=2))["sparsity"] == pytest.approx(0.8, abs=1e-2)
    plain, pulled = (train_l1(net, task, RECIPE, l1_weight=weight) for weight in (1e-9, 1.0))
    sizes = [sum(p.abs().sum() for p in trained.parameters() if p.ndim > 1) for trained in (plain, pulled)]
    assert sizes[1] < sizes[0]


def test_few_bits(case):
    task, net = case
    rows = sensitivity(net, task, compress=codebook, options=[2, 8])
    by_bits = {bits: sum(row["divergence"] for row in rows if row["bits"] == bits) for bits in (2, 8)}
    assert by_bits[2] > by_bits[8] >= -1e-6
    assert set(assign(rows, average_bits=9.5).values()) <= {2, 8}
    tuned = finetune_codebook(codebook(net, task, bits=2), task, RECIPE, teacher=net, soft_weight=0.5)
    assert infer(tuned, task.x_val).shape == infer(net, task.x_val).shape
    torch.testing.assert_close(infer(equalize(net, task), task.x_val), infer(net, task.x_val), atol=1e-4, rtol=1e-3)
    assert infer(correct_bias(net, task, bits=3), task.x_val).shape == infer(net, task.x_val).shape
