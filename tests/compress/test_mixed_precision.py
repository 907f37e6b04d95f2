"""Mixed precision: what a layer's bits cost, and the best bits for a size."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from uneven_networks import uneven_ds_cnn

from edgebook.compress.quantize.codebook import codebook
from edgebook.compress.quantize.mixed_precision import assign, mean_bits, sensitivity, stored_bits, uniform
from edgebook.errors import BadInput
from edgebook.models import build_model
from edgebook.tasks import load_task
from edgebook.training.loop import evaluate, infer


@pytest.fixture(scope="module")
def task():
    return load_task("digits")


@pytest.fixture(scope="module")
def net(task):
    """An untrained ds_cnn whose batch-norm statistics are not the identity, as training would leave them."""
    return uneven_ds_cnn(task)


def test_knapsack_is_the_best_of_all_assignments():
    draw = np.random.default_rng(0)
    table = [
        {"layer": f"l{i}", "bits": b, "n_weights": n, "divergence": float(draw.random() / 2**b)}
        for i, n in enumerate((5000, 9000, 30000))
        for b in (2, 4, 8)
    ]
    loss = {(row["layer"], row["bits"]): row["divergence"] for row in table}
    sizes = {row["layer"]: row["n_weights"] for row in table}

    def total(assignment):
        return sum(stored_bits(sizes[name], bits) for name, bits in assignment.items()) / sum(sizes.values())

    for average in (2.6, 4.0, 5.5):
        every = [dict(zip(sizes, bits)) for bits in itertools.product((2, 4, 8), repeat=3)]
        best = min(sum(loss[item] for item in bits.items()) for bits in every if total(bits) <= average)
        assigned = assign(table, average_bits=average)
        assert total(assigned) <= average
        assert sum(loss[item] for item in assigned.items()) == pytest.approx(best)
    with pytest.raises(BadInput, match="too few"):
        assign(table, average_bits=1.0)


def test_sensitivity_falls_with_bits_and_mixed_fits_the_uniform_size(net, task):
    table = sensitivity(net, task, compress=codebook, options=[2, 4, 8], n_items=64)
    mean = {bits: np.mean([row["divergence"] for row in table if row["bits"] == bits]) for bits in (2, 4, 8)}
    assert mean[2] > mean[4] > mean[8] >= -1e-6
    even = uniform(net, 4)
    assert mean_bits(net, assign(table, average_bits=mean_bits(net, even))) <= mean_bits(net, even)


def test_a_few_items_of_an_anomaly_task_hold_both_classes():
    task = load_task("vibration")
    net = build_model("autoencoder", task.input_shape, task.n_outputs, widths=[8], bottleneck=4)
    assert all(row["divergence"] >= 0 for row in sensitivity(net, task, compress=codebook, options=[2], n_items=50))


def test_the_divergence_is_the_kinds_soft_loss_and_the_loss_of_score_its_metrics(net, task):
    table = sensitivity(net, task, compress=codebook, options=[2], n_items=len(task.x_val))
    entry = table[0]
    alone = codebook(net, task, bits={entry["layer"]: 2})
    expected = torch.nn.functional.kl_div(
        infer(alone, task.x_val).log_softmax(1), infer(net, task.x_val).softmax(1), reduction="batchmean"
    )
    assert entry["divergence"] == pytest.approx(expected.item(), abs=1e-5)
    assert entry["score_lost"] == pytest.approx(evaluate(net, task) - evaluate(alone, task))
    with pytest.raises(BadInput, match="options: at least one"):
        sensitivity(net, task, compress=codebook, options=[])
