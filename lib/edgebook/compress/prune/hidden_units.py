"""Hidden units of a GRU or LSTM are removed: the matrices get smaller, instead of holding zeros."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from edgebook import lock
from edgebook.compress.prune import HIDDEN_IMPORTANCES
from edgebook.compress.prune.dependency_groups import check_rounding
from edgebook.errors import BadInput, Unsupported
from edgebook.registry import pick
from edgebook.tasks.task import Task
from edgebook.training.loop import infer

WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
Place = tuple[int, int]  # (layer, direction)
Slices = list[tuple[Tensor, int, Tensor]]  # (parameter, dimension, indices along it of every unit: (n_units, n_indices))


def prune_units(
    model: nn.Module, task: Task, *, pruning_ratio: float, importance: str = "l2", round_to: int = 1, seed: int = 0
) -> nn.Module:
    """A copy whose recurrent layers have `pruning_ratio` fewer hidden units, not yet fine-tuned.

    The model has one nn.GRU or nn.LSTM, of any number of layers and directions, and one dense layer that reads its last
    state or all its steps. Each layer and direction loses its own least important units, all the same number, since PyTorch
    has one `hidden_size`. A unit whose incoming weights are zero stays at zero, so removing it changes nothing: this is
    checked on validation items before the model is returned. Raises BadInput for a ratio outside [0, 1) or an unknown
    importance, Unsupported for a model of another structure, RuntimeError when nothing could be removed.
    """
    score = pick(HIDDEN_IMPORTANCES, importance, "importance")
    if not 0 <= pruning_ratio < 1:
        raise BadInput(f"pruning_ratio = {pruning_ratio}; allowed: 0 <= ratio < 1")
    check_rounding(round_to)
    pruned = copy.deepcopy(model).eval()
    rnn, head = recurrent_parts(pruned)
    n_kept = max(round_to, round((1 - pruning_ratio) * rnn.hidden_size / round_to) * round_to)
    if pruning_ratio == 0:
        return pruned
    if n_kept >= rnn.hidden_size:
        reason = f"{rnn.hidden_size} units cannot lose {pruning_ratio:.0%} in multiples of {round_to}"
        raise RuntimeError(f"nothing was removed: {reason}")
    torch.manual_seed(seed)
    with lock.training():
        scores = score(copy.deepcopy(pruned), task, seed)  # of a copy: gradients are taken in training mode
    remaining = {place: values.topk(n_kept).indices.sort().values for place, values in scores.items()}
    masked = zero_units(pruned, {place: _others(units, rnn.hidden_size) for place, units in remaining.items()})
    keep_units(rnn, head, remaining)
    _check_equal(masked, pruned, task)
    return pruned


def recurrent_parts(model: nn.Module) -> tuple[nn.GRU | nn.LSTM, nn.Linear]:
    """The recurrent module and the dense layer after it. Raises Unsupported for a model of another structure."""
    rnns = [module for module in model.modules() if isinstance(module, nn.RNNBase)]
    heads = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if len(rnns) != 1 or len(heads) != 1 or not isinstance(rnns[0], nn.GRU | nn.LSTM) or rnns[0].proj_size:
        layers = ", ".join(type(module).__name__ for module in rnns + heads) or "neither"
        reason = f"units are pruned in a model with one GRU or LSTM and one dense layer; {type(model).__name__} has {layers}"
        raise Unsupported(reason, code="structure")
    if heads[0].in_features % (_directions(rnns[0]) * rnns[0].hidden_size):
        reason = f"the dense layer's {heads[0].in_features} inputs are no multiple of the recurrent layer's outputs"
        raise Unsupported(reason, code="structure")
    return rnns[0], heads[0]


def unit_slices(rnn: nn.GRU | nn.LSTM, head: nn.Linear) -> Iterator[tuple[Place, Slices, Slices]]:
    """For every (layer, direction): the slices of all parameters that lead into each unit, and of those that read it."""
    hidden, directions = rnn.hidden_size, _directions(rnn)
    units = torch.arange(hidden)
    gates = units[:, None] + hidden * torch.arange(3 if isinstance(rnn, nn.GRU) else 4)  # (hidden, gates)
    for layer in range(rnn.num_layers):
        for direction in range(directions):
            suffix = _suffix(layer, direction)
            weights = {name: getattr(rnn, name + suffix) for name in (WEIGHTS if rnn.bias else WEIGHTS[:2])}
            incoming: Slices = [(parameter, 0, gates) for parameter in weights.values()]
            outgoing: Slices = [(weights["weight_hh"], 1, units[:, None])]
            if layer + 1 < rnn.num_layers:
                next_layer = [getattr(rnn, f"weight_ih{_suffix(layer + 1, d)}") for d in range(directions)]
                outgoing += [(weight, 1, direction * hidden + units[:, None]) for weight in next_layer]
            else:
                n_steps = head.in_features // (directions * hidden)  # that the head reads
                columns = direction * hidden + directions * hidden * torch.arange(n_steps)
                outgoing.append((head.weight, 1, units[:, None] + columns))
            yield (layer, direction), incoming, outgoing


def zero_units(model: nn.Module, units: dict[Place, Tensor]) -> nn.Module:
    """A copy in which the given units of each (layer, direction) have no incoming weights, so that they stay at zero."""
    masked = copy.deepcopy(model)
    for place, incoming, _ in unit_slices(*recurrent_parts(masked)):
        for parameter, dim, index in incoming:
            if place in units:
                parameter.data.index_fill_(dim, index[units[place]].flatten(), 0.0)
    return masked


def keep_units(rnn: nn.GRU | nn.LSTM, head: nn.Linear, remaining: dict[Place, Tensor]) -> None:
    """Leave only the `remaining` units (in order) of each (layer, direction), in place."""
    cuts: dict[tuple[int, int], list[Tensor]] = {}
    tensors = {}
    for place, incoming, outgoing in unit_slices(rnn, head):
        for parameter, dim, index in incoming + outgoing:
            tensors[id(parameter)] = parameter
            cuts.setdefault((id(parameter), dim), []).append(index[remaining[place]].flatten())
    for (key, dim), indices in cuts.items():
        tensors[key].data = tensors[key].data.index_select(dim, torch.cat(indices).sort().values).contiguous()
    n_steps = head.in_features // (_directions(rnn) * rnn.hidden_size)
    rnn.hidden_size = len(remaining[0, 0])
    head.in_features = n_steps * _directions(rnn) * rnn.hidden_size
    rnn.flatten_parameters()


def _check_equal(masked: nn.Module, pruned: nn.Module, task: Task) -> None:
    """Raises Unsupported when the smaller network does not compute what the masked one does."""
    x = task.x_val[:32]
    if not torch.allclose(infer(masked, x), infer(pruned, x), atol=1e-4, rtol=1e-3):
        rnn = type(recurrent_parts(pruned)[0]).__name__
        reason = f"{type(pruned).__name__} reads its {rnn} otherwise than as a last state or all steps in order"
        raise Unsupported(reason, code="structure")


def _others(units: Tensor, hidden: int) -> Tensor:
    """All units but the given ones."""
    mask = torch.ones(hidden, dtype=torch.bool)
    mask[units] = False
    return mask.nonzero().flatten()


def _directions(rnn: nn.RNNBase) -> int:
    return 2 if rnn.bidirectional else 1


def _suffix(layer: int, direction: int) -> str:
    return f"_l{layer}" + ("_reverse" if direction else "")
