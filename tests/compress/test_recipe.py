"""The whole chain in one call."""

import copy

import pytest
import torch

from edgebook.compress.controls import reinitialise
from edgebook.compress.distill.outputs import distill
from edgebook.compress.prune.channels import prune
from edgebook.compress.quantize.qat import qat
from edgebook.compress.recipe import recipe
from edgebook.errors import BadInput
from edgebook.models.fake_quantized import FakeQuantized
from edgebook.models.macs import count_macs
from edgebook.training.loop import evaluate, infer
from edgebook.training.recipe import Recipe
from edgebook.training.store import cached
from edgebook.training.teacher import teacher_outputs

FLOAT, QAT = Recipe(2, 200, lr=0.005), Recipe(1, 200, lr=0.002)


def test_it_is_its_parts_one_after_the_other(net, mnist1d):
    outputs = teacher_outputs(net, mnist1d)
    whole = recipe(net, mnist1d, FLOAT, QAT, teacher=outputs, macs_ratio=0.5, round_to=4, soft_weight=0.7)
    soft = {"teacher": outputs, "soft_weight": 0.7, "temperature": 4.0}
    pruned = cached(prune, net, mnist1d, macs_ratio=0.5, round_to=4, seed=0)
    distilled = cached(distill, pruned, mnist1d, recipe=FLOAT, **soft)
    by_hand = cached(qat, distilled, mnist1d, recipe=QAT, **soft)
    assert whole.seconds == pruned.seconds + distilled.seconds + by_hand.seconds
    assert isinstance(whole, FakeQuantized)
    assert torch.equal(infer(whole, mnist1d.x_val), infer(by_hand, mnist1d.x_val))
    assert count_macs(pruned, mnist1d.input_shape) < 0.7 * count_macs(net, mnist1d.input_shape)
    assert [(epoch["epoch"], epoch["temperature"]) for epoch in whole.history] == [(1, 4.0)]


def as_it_is(model, task, recipe, *, teacher, soft_weight, temperature):
    return copy.deepcopy(model)


def test_the_temperature_is_chosen_on_validation(net, mnist1d, monkeypatch):
    """Without the rounding, which takes seconds; without macs_ratio it starts from the network as it is."""
    monkeypatch.setattr("edgebook.compress.recipe.qat", as_it_is)
    student, temperatures = reinitialise(net, seed=1), (0.5, 4.0)
    tried = [distill(student, mnist1d, FLOAT, teacher=net, temperature=t, soft_weight=1.0) for t in temperatures]
    scores = [evaluate(candidate, mnist1d) for candidate in tried]
    assert scores[0] != scores[1]
    for order in (temperatures, temperatures[::-1]):
        best = recipe(student, mnist1d, FLOAT, QAT, teacher=net, temperatures=order, soft_weight=1.0)
        assert evaluate(best, mnist1d) == max(scores)
        assert len(best.history) == FLOAT.epochs
        assert best.history[0]["temperature"] == temperatures[scores.index(max(scores))]
    with pytest.raises(BadInput, match=r"temperatures = \[\]; allowed: at least one number above 0"):
        recipe(student, mnist1d, FLOAT, QAT, teacher=net, temperatures=[])
