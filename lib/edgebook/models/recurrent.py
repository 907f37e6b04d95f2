"""GRU and LSTM classifiers for sequences, and for images read row by row."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from edgebook.errors import BadInput
from edgebook.models.layers import positive_ints

HEADS = ("last", "all")


class Recurrent(nn.Module):
    """A GRU or an LSTM (`rnn`, batch first), then one dense layer over its last state or over all of its steps."""

    def __init__(self, rnn: nn.GRU | nn.LSTM, head: str, n_features: int, n_outputs: int):
        super().__init__()
        self.rnn = rnn
        self.head = head
        self.linear = nn.Linear(n_features, n_outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (N, C, T) or (N, C, H, W) -> (N, n_outputs)
        steps, state = self.rnn(to_steps(x))  # (N, T, directions * hidden), (layers * directions, N, hidden)
        if self.head == "all":
            return self.linear(steps.flatten(1))
        last = state[0] if isinstance(state, tuple) else state
        # the backward direction ends at the first step, so the last step of `steps` would have read one input only
        ends = last[-2:] if self.rnn.bidirectional else last[-1:]
        return self.linear(ends.transpose(0, 1).flatten(1))


def to_steps(x: torch.Tensor) -> torch.Tensor:
    """(N, T, features): a sequence (N, C, T) transposed, an image (N, C, H, W) with T = H and C * W features."""
    return x.transpose(1, 2) if x.dim() == 3 else x.transpose(1, 2).flatten(2)


def gru(
    input_shape: Sequence[int],
    n_outputs: int,
    *,
    hidden: int = 6,
    directions: int = 2,
    head: str = "all",
    n_layers: int = 1,
) -> nn.Module:
    """A GRU; by default MNIST-1D's: 5,134 parameters at (1, 40) and 10 classes.

    hidden: units of a direction. directions: 1 (what can stream) or 2. head: "last" reads the final state of each
    direction, "all" every step. Raises BadInput for an input that is neither a sequence nor an image.
    Source: Cho et al., arXiv 1406.1078; the shape from Greydanus and Kobak, arXiv 2011.14439.
    """
    return _build("gru", nn.GRU, input_shape, n_outputs, hidden, directions, head, n_layers)


def lstm(
    input_shape: Sequence[int],
    n_outputs: int,
    *,
    hidden: int = 6,
    directions: int = 2,
    head: str = "all",
    n_layers: int = 1,
) -> nn.Module:
    """An LSTM of the same make as `gru`; 5,242 parameters at (1, 40) and 10 classes.

    Source: Hochreiter and Schmidhuber, Long short-term memory, 1997.
    """
    return _build("lstm", nn.LSTM, input_shape, n_outputs, hidden, directions, head, n_layers)


def _build(
    name: str,
    cell: type[nn.GRU | nn.LSTM],
    input_shape: Sequence[int],
    n_outputs: int,
    hidden: int,
    directions: int,
    head: str,
    n_layers: int,
) -> nn.Module:
    n_steps, n_features = _sizes(name, input_shape)
    (hidden,) = positive_ints(name, "hidden", hidden, n=1)
    (n_layers,) = positive_ints(name, "n_layers", n_layers, n=1)
    if directions not in (1, 2):
        raise BadInput(f"model {name}: directions = {directions!r}; allowed: 1, 2")
    if head not in HEADS:
        raise BadInput(f"model {name}: head = {head!r}; allowed: {', '.join(HEADS)}")
    rnn = cell(n_features, hidden, n_layers, batch_first=True, bidirectional=directions == 2)
    return Recurrent(rnn, head, directions * hidden * (n_steps if head == "all" else 1), n_outputs)


def _sizes(name: str, input_shape: Sequence[int]) -> tuple[int, int]:
    shape = tuple(input_shape)
    if len(shape) == 2:
        return shape[1], shape[0]
    if len(shape) == 3:
        return shape[1], shape[0] * shape[2]
    raise BadInput(f"model {name} does not fit input_shape {shape}; allowed: (channels, time), (channels, height, width)")
