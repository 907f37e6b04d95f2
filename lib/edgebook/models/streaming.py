"""Recurrent networks called one step at a time: what microcontrollers and accelerators can run."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from edgebook.errors import Unsupported
from edgebook.models.recurrent import Recurrent, to_steps
from edgebook.models.structure import describe


class Step(nn.Module):
    """One step of all layers, then the head: (x, state, ...) -> (outputs, new state, ...); an LSTM layer has two states."""

    def __init__(self, model: Recurrent):
        super().__init__()
        rnn = model.rnn
        self.kind, self.hidden = type(rnn), rnn.hidden_size
        self.cells = nn.ModuleList(_cell(rnn, layer) for layer in range(rnn.num_layers))
        self.linear = copy.deepcopy(model.linear)

    @property
    def state_names(self) -> list[str]:
        """h0, h1, ... of a GRU; h0, c0, h1, c1, ... of an LSTM."""
        kinds = ("h", "c") if self.kind is nn.LSTM else ("h",)
        return [f"{kind}{layer}" for layer in range(len(self.cells)) for kind in kinds]

    def zero_states(self, n: int) -> tuple[Tensor, ...]:
        """The states before the first step of `n` items, each (n, hidden)."""
        return tuple(torch.zeros(n, self.hidden) for _ in self.state_names)

    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:  # (N, features), (N, hidden), ...
        new_states: list[Tensor] = []
        for layer, cell in enumerate(self.cells):
            if self.kind is nn.LSTM:
                x, c = cell(x, (states[2 * layer], states[2 * layer + 1]))
                new_states += [x, c]
            else:
                x = cell(x, states[layer])
                new_states.append(x)
        return self.linear(x), *new_states


class Streaming(nn.Module):
    """A whole sequence, one `step` after the other from zero states: computes what the recurrent network computes."""

    def __init__(self, model: Recurrent):
        super().__init__()
        self.step = Step(model)

    def forward(self, x: Tensor) -> Tensor:  # (N, C, T) or (N, C, H, W) -> (N, n_outputs)
        states = self.step.zero_states(len(x))
        for part in to_steps(x).unbind(1):
            y, *states = self.step(part, *states)
        return y


def _cell(rnn: nn.GRU | nn.LSTM, layer: int) -> nn.GRUCell | nn.LSTMCell:
    """The cell of a layer, with its weights."""
    inputs = rnn.input_size if layer == 0 else rnn.hidden_size
    cell = (nn.LSTMCell if isinstance(rnn, nn.LSTM) else nn.GRUCell)(inputs, rnn.hidden_size, bias=rnn.bias)
    cell.load_state_dict({name: getattr(rnn, f"{name}_l{layer}").detach() for name in cell.state_dict()})
    return cell


def streamable(model: nn.Module) -> bool:
    """Whether a network can be called step by step: recurrent, in one direction, and only its last state is read out."""
    return isinstance(model, Recurrent) and not model.rnn.bidirectional and model.head == "last"


def stream(model: nn.Module) -> Streaming:
    """A copy of the network as `Streaming`, which runtimes that stream export as one step with the state as input and output.

    Raises Unsupported for a network that is not `streamable`.
    """
    if not streamable(model):
        name = type(model).__name__
        raise Unsupported(
            f"{name} cannot be called step by step: a gru or lstm with directions=1 and head=last is needed", code="structure"
        )
    net = Streaming(model).eval()
    wrapper = {"name": "streaming", "structure": describe(model)}
    net.spec = {**model.spec, "wrappers": [*model.spec["wrappers"], wrapper]}
    net.key = getattr(model, "key", None)
    return net
