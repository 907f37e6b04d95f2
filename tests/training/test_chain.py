"""Techniques one after the other."""

import torch

from edgebook.compress.prune.channels import prune
from edgebook.training.chain import chain
from edgebook.training.finetune import finetune
from edgebook.training.loop import infer
from edgebook.training.recipe import Recipe
from edgebook.training.store import cached, weights_hash

RECIPE, SMALLER = Recipe(1, 500, lr=0.003), {"pruning_ratio": 0.5, "round_to": 4}


def test_a_chain_is_its_techniques_in_order(net, mnist1d):
    before = weights_hash(net)
    made = chain(net, mnist1d, [(prune, SMALLER), (finetune, {"recipe": RECIPE}), (finetune, {"recipe": RECIPE})])
    pruned = cached(prune, net, mnist1d, **SMALLER)
    once = cached(finetune, pruned, mnist1d, recipe=RECIPE)
    again = cached(finetune, once, mnist1d, recipe=RECIPE)
    assert torch.equal(infer(made, mnist1d.x_val), infer(again, mnist1d.x_val))
    assert made.key == again.key  # the last step is what the store knows it by
    assert made.seconds == pruned.seconds + once.seconds + again.seconds
    assert weights_hash(net) == before


def test_without_steps_it_is_the_network_itself(net, mnist1d):
    assert chain(net, mnist1d, []) is net


def test_the_order_of_the_cells_of_a_matrix_changes_no_cell(net, mnist1d, tmp_path, monkeypatch):
    cells = {
        "plain": [(finetune, {"recipe": RECIPE})],
        "pruned": [(prune, {**SMALLER, "importance": "random"}), (finetune, {"recipe": RECIPE})],
    }
    outputs = {}
    for order in (("plain", "pruned"), ("pruned", "plain")):
        monkeypatch.setenv("EDGEBOOK_STORE", str(tmp_path / "-".join(order)))
        outputs[order] = {name: infer(chain(net, mnist1d, cells[name]), mnist1d.x_val) for name in order}
    first, second = outputs.values()
    assert all(torch.equal(first[name], second[name]) for name in cells)
