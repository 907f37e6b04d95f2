"""Training from scratch, and folding batch norm."""

import pytest
import torch

from edgebook.compress.controls import reinitialise, train_from_scratch
from edgebook.compress.fuse import fuse
from edgebook.compress.prune.channels import prune
from edgebook.errors import Unsupported
from edgebook.models import build_model
from edgebook.models.macs import count_params
from edgebook.training.loop import infer
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


def test_fusing_keeps_the_outputs_and_refuses_a_network_without_batch_norm(net, digits, mnist1d):
    model = build_model("resnet8", digits.input_shape, digits.n_outputs, widths=(8, 8, 8)).eval()
    fused = fuse(model, digits)
    torch.testing.assert_close(infer(fused, digits.x_val), infer(model, digits.x_val), atol=1e-4, rtol=1e-4)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in fused.modules())
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules())
    with pytest.raises(Unsupported, match="no batch norm directly after") as caught:
        fuse(net, mnist1d)
    assert caught.value.code == "structure"
