"""Shared weights: which values they may take, and how they are trained."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from uneven_networks import uneven_ds_cnn

from edgebook.compress.quantize import LEVELS
from edgebook.compress.quantize.codebook import clusters, codebook, finetune_codebook, finetune_levels, weight_names
from edgebook.compress.quantize.levels import TRAINING_STEPS, kmeans
from edgebook.errors import BadInput
from edgebook.models import build_model
from edgebook.tasks import load_task
from edgebook.training.recipe import Recipe


@pytest.fixture(scope="module")
def task():
    return load_task("digits")


@pytest.fixture(scope="module")
def net(task):
    """An untrained ds_cnn whose batch-norm statistics are not the identity, as training would leave them."""
    return uneven_ds_cnn(task)


def weight_error(model, other):
    return sum((model.get_parameter(n) - other.get_parameter(n)).square().sum().item() for n in weight_names(model))


@pytest.mark.parametrize("levels", ["kmeans", "linear"])
def test_more_bits_never_raise_the_weight_error(net, task, levels):
    errors = [weight_error(net, codebook(net, task, bits=bits, levels=levels)) for bits in (2, 3, 4, 6, 8)]
    assert errors == sorted(errors, reverse=True)
    assert weight_error(net, codebook(net, task, bits=32, levels=levels)) == 0


def test_kmeans_is_as_good_as_scikit_learns():
    from sklearn.cluster import KMeans

    w = torch.randn(400, generator=torch.Generator().manual_seed(0))
    starts = np.linspace(w.min(), w.max(), 8), np.quantile(w, (np.arange(8) + 0.5) / 8)
    fits = [KMeans(8, init=s[:, None], n_init=1, tol=0, max_iter=300).fit(w.numpy()[:, None]).inertia_ for s in starts]
    error = (kmeans(w, 3) - w).square().sum()
    best = KMeans(8, n_init=20, random_state=0).fit(w.numpy()[:, None]).inertia_
    assert 0.98 * best <= error <= 1.02 * best  # centres are float16
    assert error <= 1.01 * min(fits)


def test_a_layer_has_at_most_as_many_values_as_its_bits_allow(net, task):
    for bits in (2, 4):
        for name, (_, n) in clusters(codebook(net, task, bits=bits)).items():
            assert n <= 2**bits, name
    powers = codebook(net, task, bits=4, levels="log2").get_parameter("linear.weight").data
    used = powers[powers != 0].abs().log2()
    assert torch.equal(used, used.round())
    assert len(powers.unique()) <= 2**4 - 1


def test_finetuned_codebook_keeps_its_assignment(net, task):
    shared = codebook(net, task, bits=3)
    tuned = finetune_codebook(shared, task, Recipe(1, lr=0.005))
    for name, (index, n) in clusters(shared).items():
        values = tuned.get_parameter(name).data.flatten()
        assert all(len(values[index == cluster].unique()) == 1 for cluster in range(n)), name
    assert weight_error(shared, tuned) > 0
    assert weight_error(shared, codebook(net, task, bits=3)) == 0  # the input is untouched


def test_finetuned_levels_stay_on_the_grid(net, task):
    tuned = finetune_levels(net, task, Recipe(1, lr=0.005), bits=4, levels="linear")
    for name in weight_names(net):
        channels = tuned.get_parameter(name).data.flatten(1)
        steps = channels / (channels.abs().amax(1, keepdim=True) / 7)  # of each channel's own grid
        assert torch.allclose(steps, steps.round(), atol=1e-2), name
    assert tuned.state_dict().keys() == net.state_dict().keys()


@pytest.mark.parametrize("bits", [0, 9, 2.5])
def test_bits_out_of_range_are_one_line(net, task, bits):
    with pytest.raises(BadInput, match="allowed: 1 to 8"):
        codebook(net, task, bits={"linear.weight": bits})


def test_weights_may_change_their_centre_as_they_are_trained(net, task):
    few = dataclasses.replace(task, x_train=task.x_train[:500], y_train=task.y_train[:500])
    recipe, teacher = Recipe(2, lr=0.01), {"teacher": net, "soft_weight": 0.5}
    before = clusters(shared := codebook(net, few, bits=2))
    free = clusters(finetune_levels(net, few, recipe, bits=2, levels="kmeans", **teacher))
    fixed = clusters(finetune_codebook(shared, few, recipe, **teacher))
    assert free.keys() == set(weight_names(net))
    assert all(n <= 4 for _, n in free.values())
    assert all(torch.equal(fixed[name][0], before[name][0]) for name in before)
    first = {name: kmeans(net.get_parameter(name).data, 2, steps=TRAINING_STEPS) for name in before}  # what training began with
    begun = {name: w.flatten().unique(return_inverse=True)[1] for name, w in first.items()}
    assert not all(torch.equal(free[name][0], begun[name]) for name in before)


@pytest.mark.parametrize("bits", [2, 4, 6])
def test_few_steps_come_near_to_the_whole_k_means(bits):
    w = torch.randn(5000, generator=torch.Generator().manual_seed(0)) ** 3  # heavy tails
    errors = [(kmeans(w, bits, steps=steps) - w).square().sum().item() for steps in (TRAINING_STEPS, 100)]
    assert errors[1] <= errors[0] <= 1.6 * errors[1]


def test_nan_weights_and_unknown_layers_are_bad_input(net, task):
    with pytest.raises(BadInput, match="is no weight; known: stem"):
        codebook(net, task, bits={"nothing": 4})
    broken = build_model("mlp", task.input_shape, task.n_outputs)
    next(broken.parameters()).data[0, 0] = float("nan")
    with pytest.raises(BadInput, match="NaN"):
        codebook(broken, task, bits=4)


def test_a_constant_layer_stays_as_it_is(task):
    model = build_model("mlp", task.input_shape, task.n_outputs)
    for parameter in model.parameters():
        parameter.data.zero_()
    for levels in LEVELS:
        shared = codebook(model, task, bits=2, levels=levels)
        assert not any(parameter.any() for parameter in shared.parameters())
