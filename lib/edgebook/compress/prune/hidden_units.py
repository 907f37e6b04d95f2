"""Hidden units of a GRU or LSTM removed for real: smaller matrices, not zeros in big ones."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgebook import lock
from edgebook.compress.prune.dependency_groups import check_rounding
from edgebook.errors import BadInput, pick
from edgebook.tasks import Task
from edgebook.training.loop import infer

N_ITEMS = 512  # training items behind taylor and loss
Places = list[tuple[Tensor, int, Tensor]]  # (parameter, dimension, its index of every unit: (n_units, n_places))


def prune_units(
    model: nn.Module, task: Task, *, pruning_ratio: float, importance: str = "l2", round_to: int = 1, seed: int = 0
) -> nn.Module:
    """A copy whose recurrent layers have `pruning_ratio` fewer hidden units, not yet fine-tuned.

    The model has one nn.GRU or nn.LSTM, of any number of layers and directions, and one dense layer that reads its last
    state or all its steps. Each layer and direction loses its own least important units, all equally many, since PyTorch
    keeps one `hidden_size`. A unit whose weights in are zero stays at zero, so removing it changes nothing: this is
    checked before the model is handed out. Raises BadInput for a ratio outside [0, 1), an unknown importance or a model of
    another make, RuntimeError when nothing could be removed.
    """
    score = pick(IMPORTANCES, importance, "importance")
    if not 0 <= pruning_ratio < 1:
        raise BadInput(f"pruning_ratio = {pruning_ratio}; allowed: 0 <= ratio < 1")
    check_rounding(round_to)
    pruned = copy.deepcopy(model).eval()
    rnn, head = recurrent_parts(pruned)
    n_kept = max(round_to, round((1 - pruning_ratio) * rnn.hidden_size / round_to) * round_to)
    if pruning_ratio == 0:
        return pruned
    if n_kept >= rnn.hidden_size:
        raise RuntimeError(f"nothing was removed: {rnn.hidden_size} units cannot lose {pruning_ratio:.0%} by {round_to}")
    torch.manual_seed(seed)
    with lock.training():
        scores = score(copy.deepcopy(pruned), task, seed)  # of a copy: gradients are taken in training mode
    kept = {place: own.topk(n_kept).indices.sort().values for place, own in scores.items()}
    masked = zero_units(pruned, {place: _others(own, rnn.hidden_size) for place, own in kept.items()})
    keep_units(rnn, head, kept)
    if not torch.allclose(infer(masked, task.x_val[:32]), infer(pruned, task.x_val[:32]), atol=1e-4, rtol=1e-3):
        raise BadInput(f"{type(model).__name__} does not read its {type(rnn).__name__} as a last state or all steps in order")
    return pruned


def recurrent_parts(model: nn.Module) -> tuple[nn.GRU | nn.LSTM, nn.Linear]:
    """The recurrent module and the dense layer after it. Raises BadInput for a model of another make."""
    rnns = [module for module in model.modules() if isinstance(module, nn.RNNBase)]
    heads = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if len(rnns) != 1 or len(heads) != 1 or not isinstance(rnns[0], nn.GRU | nn.LSTM) or rnns[0].proj_size:
        found = ", ".join(type(module).__name__ for module in rnns + heads) or "neither"
        raise BadInput(
            f"units are pruned in a model with one GRU or LSTM and one dense layer; {type(model).__name__} has {found}"
        )
    if heads[0].in_features % (_directions(rnns[0]) * rnns[0].hidden_size):
        raise BadInput(f"the dense layer's {heads[0].in_features} inputs are no multiple of the recurrent layer's outputs")
    return rnns[0], heads[0]


def unit_places(rnn: nn.GRU | nn.LSTM, head: nn.Linear) -> Iterator[tuple[tuple[int, int], Places, Places]]:
    """For every (layer, direction): where each unit's weights in and out lie."""
    hidden, directions = rnn.hidden_size, _directions(rnn)
    units = torch.arange(hidden)
    gates = units[:, None] + hidden * torch.arange(3 if isinstance(rnn, nn.GRU) else 4)  # (hidden, gates)
    for layer in range(rnn.num_layers):
        for direction in range(directions):
            own = {name: getattr(rnn, f"{name}{_suffix(layer, direction)}") for name in _names(rnn)}
            into: Places = [(parameter, 0, gates) for parameter in own.values()]
            out: Places = [(own["weight_hh"], 1, units[:, None])]
            if layer + 1 < rnn.num_layers:
                after = [getattr(rnn, f"weight_ih{_suffix(layer + 1, d)}") for d in range(directions)]
                out += [(weight, 1, direction * hidden + units[:, None]) for weight in after]
            else:
                blocks = head.in_features // (directions * hidden)  # steps that the head reads
                columns = direction * hidden + directions * hidden * torch.arange(blocks)
                out.append((head.weight, 1, units[:, None] + columns))
            yield (layer, direction), into, out


def zero_units(model: nn.Module, gone: dict[tuple[int, int], Tensor]) -> nn.Module:
    """A copy in which the units `gone` of each (layer, direction) have no weights in: they stay at zero for ever."""
    masked = copy.deepcopy(model)
    for place, into, _ in unit_places(*recurrent_parts(masked)):
        for parameter, dim, index in into:
            if place in gone:
                parameter.data.index_fill_(dim, index[gone[place]].flatten(), 0.0)
    return masked


def keep_units(rnn: nn.GRU | nn.LSTM, head: nn.Linear, kept: dict[tuple[int, int], Tensor]) -> None:
    """Leave only the `kept` units (in order) of each (layer, direction), in place."""
    cuts: dict[tuple[int, int], list[Tensor]] = {}
    tensors = {}
    for place, into, out in unit_places(rnn, head):
        for parameter, dim, index in into + out:
            tensors[id(parameter)] = parameter
            cuts.setdefault((id(parameter), dim), []).append(index[kept[place]].flatten())
    for (key, dim), indices in cuts.items():
        tensors[key].data = tensors[key].data.index_select(dim, torch.cat(indices).sort().values).contiguous()
    steps = head.in_features // (_directions(rnn) * rnn.hidden_size)
    rnn.hidden_size = len(kept[0, 0])
    head.in_features = steps * _directions(rnn) * rnn.hidden_size
    rnn.flatten_parameters()


def _norms(power: int):
    """Sum of |w|^power over all weights of a unit, each matrix taken relative to its own mean so that none rules."""

    def score(model: nn.Module, task: Task, seed: int) -> dict[tuple[int, int], Tensor]:
        return _summed(model, lambda parameter: parameter.detach().abs() ** power)

    return score


def _taylor(model: nn.Module, task: Task, seed: int) -> dict[tuple[int, int], Tensor]:
    """|sum of weight x gradient| over a unit's weights in: how much the loss would change, to first order."""
    x, y = _items(task, seed)
    model.zero_grad()
    with torch.enable_grad():
        F.cross_entropy(model.train()(x), y).backward()
    scores = {}
    for place, into, _ in unit_places(*recurrent_parts(model)):
        parts = [_gather(parameter.detach() * parameter.grad, dim, index) for parameter, dim, index in into]
        scores[place] = sum(parts).abs()
    model.eval().zero_grad(set_to_none=True)
    return scores


def _loss(model: nn.Module, task: Task, seed: int) -> dict[tuple[int, int], Tensor]:
    """The training loss with one unit at a time held at zero: dear in general, affordable for some hundred units."""
    x, y = _items(task, seed)
    hidden = recurrent_parts(model)[0].hidden_size
    return {
        place: torch.tensor(
            [F.cross_entropy(infer(zero_units(model, {place: torch.tensor([unit])}), x), y).item() for unit in range(hidden)]
        )
        for place, _, _ in unit_places(*recurrent_parts(model))
    }


def _random(model: nn.Module, task: Task, seed: int) -> dict[tuple[int, int], Tensor]:
    rnn, head = recurrent_parts(model)
    return {place: torch.rand(rnn.hidden_size) for place, _, _ in unit_places(rnn, head)}


def _summed(model: nn.Module, of) -> dict[tuple[int, int], Tensor]:
    scores = {}
    for place, into, out in unit_places(*recurrent_parts(model)):
        parts = [_gather(of(parameter), dim, index) for parameter, dim, index in into + out if parameter.ndim > 1]
        scores[place] = sum(part / part.mean().clamp_min(1e-12) for part in parts)
    return scores


def _gather(values: Tensor, dim: int, index: Tensor) -> Tensor:
    """Sum of a parameter's `values` over each unit's places, (n_units,)."""
    lines = values.flatten(1).sum(1) if dim == 0 and values.ndim > 1 else values.sum(0) if dim == 1 else values
    return lines[index].sum(1)


def _items(task: Task, seed: int) -> tuple[Tensor, Tensor]:
    items = torch.randperm(len(task.x_train), generator=torch.Generator().manual_seed(seed))[:N_ITEMS]
    return task.x_train[items], task.y_train[items]


def _others(kept: Tensor, hidden: int) -> Tensor:
    return torch.tensor([unit for unit in range(hidden) if unit not in set(kept.tolist())])


def _directions(rnn: nn.RNNBase) -> int:
    return 2 if rnn.bidirectional else 1


def _suffix(layer: int, direction: int) -> str:
    return f"_l{layer}" + ("_reverse" if direction else "")


def _names(rnn: nn.RNNBase) -> tuple[str, ...]:
    return ("weight_ih", "weight_hh", "bias_ih", "bias_hh") if rnn.bias else ("weight_ih", "weight_hh")


IMPORTANCES = {"l1": _norms(1), "l2": _norms(2), "loss": _loss, "random": _random, "taylor": _taylor}
