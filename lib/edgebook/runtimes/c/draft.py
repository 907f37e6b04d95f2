"""A network while it is built: where its tensors lie and what is left to later operators."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from edgebook.errors import Unsupported
from edgebook.runtimes.c.fixed_point import limits
from edgebook.runtimes.c.graph import Graph, Operator, Tensor
from edgebook.runtimes.c.steps import Place, Quantized, Step


@dataclass
class Draft:
    """The network while it is built. `padding`, `columns`: what a folded PAD or TRANSPOSE leaves to the operator behind it."""

    graph: Graph
    places: dict[int, Place]
    buffers: dict[int, int] = field(default_factory=dict)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    padding: dict[int, tuple[Tensor, np.ndarray]] = field(default_factory=dict)
    columns: dict[int, np.ndarray] = field(default_factory=dict)

    def tensor(self, operator: Operator, index: int = 0) -> Tensor:
        return self.graph.tensors[operator.inputs[index]]

    def result(self, operator: Operator) -> Tensor:
        return self.graph.tensors[operator.outputs[0]]

    def source(self, operator: Operator, index: int = 0) -> Place:
        return self.place(operator.inputs[index])

    def place(self, number: int) -> Place:
        """Where a tensor is read from; constants become arrays of the C file."""
        if number not in self.places:
            name = f"constant{number}"
            self.constants[name] = self.graph.tensors[number].data.ravel()
            self.places[number] = Place(name)
        return self.places[number]

    def target(self, operator: Operator) -> Place:
        """A new buffer for an operator's output; the caller's for the network's output."""
        number = operator.outputs[0]
        if number not in self.places:
            self.buffers[number] = self.graph.tensors[number].size
            self.places[number] = Place(number)
        return self.places[number]


def quantization(tensor: Tensor) -> tuple[float, int]:
    """Scale and zero point of a tensor with one scale."""
    return float(tensor.scale[0]), tensor.zero_point


def quantized(operator: Operator, tensor: Tensor) -> Quantized:
    """The integers of an operator's output with its fused activation. Raises Unsupported for one that is not in the kernels."""
    activation = operator.options.get("activation", "NONE")
    try:
        low, high = limits(activation, float(tensor.scale[0]), tensor.zero_point)
    except KeyError:
        raise Unsupported(f"c has no fused activation {activation} in {operator.name}; litert runs it", code="operator") from None
    return Quantized(float(tensor.scale[0]), tensor.zero_point, low, high)


def users(graph: Graph, number: int) -> list[Operator]:
    """The operators that read a tensor."""
    return [operator for operator in graph.operators if number in operator.inputs]
