"""Frozen parts: their weights and statistics stay, the rest learns, and afterwards everything can be trained again."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgebook.errors import BadInput
from edgebook.models import build_model
from edgebook.training.finetune import finetune
from edgebook.training.frozen import freeze
from edgebook.training.loop import train
from edgebook.training.recipe import Recipe, recipe_from
from edgebook.training.weights import weights_hash

RECIPE = Recipe(epochs=1, batch_size=64, device="cpu")


def same(a: nn.Module, b: nn.Module, prefix: str) -> list[bool]:
    """Whether each tensor below a prefix is equal in both."""
    states = a.state_dict(), b.state_dict()
    return [torch.equal(states[0][name], states[1][name]) for name in states[0] if name.startswith(prefix)]


def test_frozen_modules_stay_with_their_statistics(digits):
    torch.manual_seed(0)
    model = build_model("resnet8", digits.input_shape, digits.n_outputs)
    trained = train(model, digits, recipe_from({"frozen": ["stem", "blocks.0"]}, defaults={"epochs": 1, "device": "cpu"}))
    assert all(same(model, trained, "stem"))
    assert all(same(model, trained, "blocks.0"))
    assert not any(same(model, trained, "linear"))
    assert not all(same(model, trained, "blocks.1"))
    assert all(parameter.requires_grad for parameter in trained.parameters())


def test_a_single_parameter_may_be_frozen_and_batch_norm_still_learns(digits):
    torch.manual_seed(0)
    model = build_model("resnet8", digits.input_shape, digits.n_outputs)
    tuned = finetune(model, digits, recipe_from({"frozen": ["*.0.weight"]}, defaults={"epochs": 1, "device": "cpu"}))
    assert all(same(model, tuned, "stem.0"))
    assert not any(same(model, tuned, "stem.1.running_mean"))


def test_zero_epochs_keep_the_weights(digits):
    model = build_model("mlp", digits.input_shape, digits.n_outputs)
    kept = train(model, digits, Recipe(epochs=0, device="cpu"))
    assert weights_hash(kept) == weights_hash(model)
    assert kept.history == []


@pytest.mark.parametrize(
    ("patterns", "says"),
    [
        (("encoder",), "frozen = 'encoder' names no parameter; allowed: stem, blocks, linear"),
        (("*",), r"frozen = \* leaves nothing to train"),
    ],
)
def test_patterns_that_cannot_be_meant(patterns, says):
    with pytest.raises(BadInput, match=says):
        freeze(build_model("resnet8", (1, 8, 8), 10), patterns)
