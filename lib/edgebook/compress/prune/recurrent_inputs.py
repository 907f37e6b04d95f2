"""Recurrent modules in Torch-Pruning's graph: channels that they read can be removed, their own units cannot (`hidden_units`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch_pruning.pruner import function

from edgebook.compress.prune.hidden_slices import directions, input_weights
from edgebook.errors import Unsupported


class RecurrentInputs(function.BasePruningFunc):
    """The columns of the weights that the first layer of an nn.RNN, nn.GRU or nn.LSTM has for its inputs."""

    TARGET_MODULES = nn.RNNBase

    def prune_in_channels(self, layer: nn.RNNBase, idxs: list[int]) -> nn.RNNBase:
        remaining = sorted(set(range(layer.input_size)) - set(idxs))
        for name in input_weights(layer):
            setattr(layer, name, self._prune_parameter_and_grad(getattr(layer, name), remaining, 1))
        layer.input_size = len(remaining)
        return layer

    def prune_out_channels(self, layer: nn.RNNBase, idxs: list[int]) -> nn.RNNBase:
        raise NotImplementedError("units are removed by hidden_units")

    def get_in_channels(self, layer: nn.RNNBase) -> int:
        return layer.input_size

    def get_out_channels(self, layer: nn.RNNBase) -> int:
        return layer.hidden_size


@contextmanager
def one_operator_each(modules: list[nn.RNNBase]) -> Iterator[None]:
    """Inside, each module is one operator for a tracer that follows gradients, whichever of its outputs is read. The shapes of
    the outputs are right, their values mean nothing.
    """
    for module in modules:
        module.forward = _stand_in(module)
    try:
        yield
    finally:
        for module in modules:
            del module.forward


def _stand_in(module: nn.RNNBase) -> Callable:
    n_directions = directions(module)
    n_states, width = n_directions * module.num_layers, module.proj_size or module.hidden_size

    def forward(x: Tensor | PackedSequence, state: object = None) -> tuple[Tensor, Tensor | tuple[Tensor, Tensor]]:
        if isinstance(x, PackedSequence):
            raise Unsupported("packed sequences: which channels they come from cannot be followed", code="structure")
        outputs = x.mean(-1, keepdim=True) + torch.zeros(*x.shape[:-1], n_directions * width, device=x.device)
        batch = [x.shape[0 if module.batch_first else 1]] if x.ndim == 3 else []
        read = 0.0 * outputs.mean()  # states come from the outputs, so that both have one origin
        hidden = read + torch.zeros(n_states, *batch, width, device=x.device)
        if isinstance(module, nn.LSTM):
            return outputs, (hidden, read + torch.zeros(n_states, *batch, module.hidden_size, device=x.device))
        return outputs, hidden

    return forward
