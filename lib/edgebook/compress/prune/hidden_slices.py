"""Where the hidden units of recurrent modules stand in the parameters: what leads into each unit, and what reads it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgebook.errors import Unsupported

WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
Place = tuple[int, int, int]  # (number of the recurrent module, layer, direction)
Slices = list[tuple[Tensor, int, Tensor]]  # (parameter, dimension, indices along it of every unit: (n_units, n_indices))


@dataclass(frozen=True)
class Link:
    """A recurrent module, and the layer that reads its last state or all of its steps: a dense one, or the next recurrent one."""

    rnn: nn.GRU | nn.LSTM
    reader: nn.Linear | nn.GRU | nn.LSTM

    @property
    def width(self) -> int:
        """Numbers that the module gives per step."""
        return directions(self.rnn) * self.rnn.hidden_size

    @property
    def n_steps(self) -> int:
        """How many steps the reader reads side by side."""
        return self.reader.in_features // self.width if isinstance(self.reader, nn.Linear) else 1

    def reading_weights(self) -> list[Tensor]:
        """The weights of the reader, one column per number that it reads."""
        if isinstance(self.reader, nn.Linear):
            return [self.reader.weight]
        return [getattr(self.reader, name) for name in input_weights(self.reader)]


def links(model: nn.Module) -> list[Link]:
    """Every GRU and LSTM of the model, in order, with its reader: the next recurrent module or dense layer that fits.

    Raises Unsupported for a model without a GRU or LSTM, or where one has no such reader.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.RNNBase | nn.Linear)]
    chain = []
    for number, rnn in enumerate(layers):
        if isinstance(rnn, nn.RNNBase):
            readers = [layer for layer in layers[number + 1 :] if _fits(rnn, layer)]
            if not readers or not isinstance(rnn, nn.GRU | nn.LSTM) or rnn.proj_size:
                kinds = ", ".join(type(layer).__name__ for layer in layers)
                reason = f"no layer reads what its {type(rnn).__name__} gives; {type(model).__name__} has {kinds}"
                raise Unsupported(f"units are pruned in a GRU or LSTM before a dense layer: {reason}", code="structure")
            chain.append(Link(rnn, readers[0]))
    if not chain:
        reason = f"{type(model).__name__} has none; channels are pruned by prune (20_prune_sweep)"
        raise Unsupported(f"units are pruned in a GRU or LSTM before a dense layer: {reason}", code="structure")
    return chain


def _fits(rnn: nn.RNNBase, layer: nn.Module) -> bool:
    """Whether a layer can read what a recurrent module gives: all steps or one of them, without anything beside."""
    width = directions(rnn) * rnn.hidden_size
    return layer.in_features % width == 0 if isinstance(layer, nn.Linear) else bool(layer.input_size == width)


def unit_slices(chain: list[Link]) -> Iterator[tuple[Place, Slices, Slices]]:
    """For every place: the slices of all parameters that lead into each unit, and of those that read it."""
    for number, link in enumerate(chain):
        rnn, hidden = link.rnn, link.rnn.hidden_size
        units = torch.arange(hidden)
        gates = units[:, None] + hidden * torch.arange(3 if isinstance(rnn, nn.GRU) else 4)  # (hidden, gates)
        for layer in range(rnn.num_layers):
            for direction in range(directions(rnn)):
                names = [name + suffix(layer, direction) for name in (WEIGHTS if rnn.bias else WEIGHTS[:2])]
                incoming: Slices = [(getattr(rnn, name), 0, gates) for name in names]
                outgoing: Slices = [(getattr(rnn, names[1]), 1, units[:, None])]
                if layer + 1 < rnn.num_layers:
                    readers = [getattr(rnn, name) for name in input_weights(rnn, layer + 1)]
                    columns = torch.tensor([direction * hidden])
                else:
                    readers = link.reading_weights()
                    columns = direction * hidden + link.width * torch.arange(link.n_steps)
                outgoing += [(weight, 1, units[:, None] + columns) for weight in readers]
                yield (number, layer, direction), incoming, outgoing


def zero_units(model: nn.Module, units: dict[Place, Tensor]) -> nn.Module:
    """A copy in which the given units of each place have no incoming weights, so that they stay at zero."""
    masked = copy.deepcopy(model)
    for place, incoming, _ in unit_slices(links(masked)):
        for parameter, dim, index in incoming:
            if place in units:
                parameter.data.index_fill_(dim, index[units[place]].flatten(), 0.0)
    return masked


def keep_units(chain: list[Link], remaining: dict[Place, Tensor]) -> None:
    """Leave only the `remaining` units (in order) of each place, in place."""
    cuts: dict[tuple[int, int], list[Tensor]] = {}
    tensors, n_steps = {}, [link.n_steps for link in chain]
    for place, incoming, outgoing in unit_slices(chain):
        for parameter, dim, index in incoming + outgoing:
            tensors[id(parameter)] = parameter
            cuts.setdefault((id(parameter), dim), []).append(index[remaining[place]].flatten())
    for (key, dim), indices in cuts.items():
        tensors[key].data = tensors[key].data.index_select(dim, torch.cat(indices).sort().values).contiguous()
    for number, link in enumerate(chain):
        link.rnn.hidden_size = len(remaining[number, 0, 0])
        if isinstance(link.reader, nn.Linear):
            link.reader.in_features = n_steps[number] * link.width
        else:
            link.reader.input_size = link.width
    for link in chain:
        link.rnn.flatten_parameters()


def input_weights(rnn: nn.RNNBase, layer: int = 0) -> list[str]:
    """Names of the weights that read the inputs of a layer, one per direction."""
    return [f"weight_ih{suffix(layer, direction)}" for direction in range(directions(rnn))]


def directions(rnn: nn.RNNBase) -> int:
    """1, or 2 for a bidirectional module."""
    return 2 if rnn.bidirectional else 1


def suffix(layer: int, direction: int) -> str:
    """`_l0_reverse`: what PyTorch adds to the names of a layer's parameters."""
    return f"_l{layer}" + ("_reverse" if direction else "")
