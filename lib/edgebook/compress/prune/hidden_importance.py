"""How the hidden units of a GRU or LSTM are ranked: (model, task, seed) -> scores (n_units,) per (layer, direction)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from edgebook.compress.prune.hidden_units import Place, recurrent_parts, unit_slices, zero_units
from edgebook.tasks.task import Task, draw_items
from edgebook.training.loop import infer

N_ITEMS = 512  # training items behind `taylor` and `loss`
Scores = dict[Place, Tensor]


def norms(model: nn.Module, task: Task, seed: int, *, power: int) -> Scores:
    """Sum of |w|^power over all weights that lead into a unit or read it, each matrix relative to its own mean, so that none
    of them decides alone.
    """
    return _summed(model, lambda parameter: parameter.detach().abs() ** power)


def taylor(model: nn.Module, task: Task, seed: int) -> Scores:
    """|sum of weight x gradient| over the weights that lead into a unit: the change of the loss without it, to first order."""
    x, y = sample_items(task, seed)
    model.zero_grad()
    with torch.enable_grad():
        task.kind.loss(model.train()(x), x, y, 0.0).backward()
    scores = {}
    for place, incoming, _ in unit_slices(*recurrent_parts(model)):
        parts = [_sum_per_unit(parameter.detach() * parameter.grad, dim, index) for parameter, dim, index in incoming]
        scores[place] = torch.stack(parts).sum(0).abs()
    model.eval().zero_grad(set_to_none=True)
    return scores


def loss(model: nn.Module, task: Task, seed: int) -> Scores:
    """The training loss with one unit at a time held at zero: one forward pass per unit, affordable for some hundred units."""
    x, y = sample_items(task, seed)
    hidden = recurrent_parts(model)[0].hidden_size

    def without(place: Place, unit: int) -> float:
        outputs = infer(zero_units(model, {place: torch.tensor([unit])}), x)
        return task.kind.loss(outputs, x, y, 0.0).item()

    places = [place for place, _, _ in unit_slices(*recurrent_parts(model))]
    return {place: torch.tensor([without(place, unit) for unit in range(hidden)]) for place in places}


def random(model: nn.Module, task: Task, seed: int) -> Scores:
    """The control: units drawn at random."""
    rnn, head = recurrent_parts(model)
    return {place: torch.rand(rnn.hidden_size) for place, _, _ in unit_slices(rnn, head)}


def sample_items(task: Task, seed: int) -> tuple[Tensor, Tensor]:
    """(x, y) of the training items that scores rest on."""
    items = draw_items(len(task.x_train), N_ITEMS, seed)
    return task.x_train[items], task.y_train[items]


def _summed(model: nn.Module, size_of: Callable[[Tensor], Tensor]) -> Scores:
    scores = {}
    for place, incoming, outgoing in unit_slices(*recurrent_parts(model)):
        matrices = [part for part in incoming + outgoing if part[0].ndim > 1]
        parts = [_sum_per_unit(size_of(parameter), dim, index) for parameter, dim, index in matrices]
        scores[place] = torch.stack([part / part.mean().clamp_min(1e-12) for part in parts]).sum(0)
    return scores


def _sum_per_unit(values: Tensor, dim: int, index: Tensor) -> Tensor:
    """Sum of a parameter's `values` over the indices of each unit, (n_units,)."""
    lines = values.flatten(1).sum(1) if dim == 0 and values.ndim > 1 else values.sum(0) if dim == 1 else values
    return lines[index].sum(1)


l1, l2 = partial(norms, power=1), partial(norms, power=2)
