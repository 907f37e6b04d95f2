"""From a .tflite's operators to kernel calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from edgebook.errors import Unsupported
from edgebook.runtimes.c import lower_layers as layers
from edgebook.runtimes.c import lower_layout as layout
from edgebook.runtimes.c.draft import Draft, quantization
from edgebook.runtimes.c.ends import Ends
from edgebook.runtimes.c.graph import Graph, Operator, Tensor
from edgebook.runtimes.c.steps import Lookup, Network, Place, Step
from edgebook.runtimes.c.tables import FUNCTIONS, table


def lower(graph: Graph) -> Network:
    """The network as steps. Raises Unsupported for an operator without a kernel, by its name."""
    places: dict[int, Place] = {graph.input: Place("input")}
    start, n_state = [], 0
    for source, _ in graph.states:
        places[source] = Place("state", n_state)
        tensor = graph.tensors[source]
        start += [tensor.zero_point] * tensor.size
        n_state += tensor.size
    draft = Draft(graph, places)
    for operator in graph.operators:
        if operator.name not in OPERATORS:
            known = ", ".join(sorted(OPERATORS))
            reason = f"c has no kernel for {operator.name}; litert runs it, c has {known}"
            raise Unsupported(reason, code="operator", operator=operator.name)
        OPERATORS[operator.name](draft, operator)
    _hand_out(draft)
    first, last = graph.tensors[graph.input], graph.tensors[graph.output]
    ends = Ends(first.item_shape, last.item_shape, quantization(first), quantization(last), n_state)
    return Network(tuple(draft.steps), draft.buffers, draft.constants, ends, tuple(start))


def _hand_out(draft: Draft) -> None:
    """The output is written where the caller wants it; new states go there at the end, when nobody reads the old ones."""
    graph = draft.graph
    place, size = draft.place(graph.output), graph.tensors[graph.output].size
    if isinstance(place.buffer, int) and draft.buffers[place.buffer] == size:
        draft.steps[:] = [_moved(step, place.buffer, "output") for step in draft.steps]
        draft.places = {number: _renamed(p, place.buffer, "output") for number, p in draft.places.items()}
        del draft.buffers[place.buffer]
    else:
        draft.steps.append(layout.line(place, Place("output"), size))
    offset = 0
    for source, target in graph.states:
        before, after = graph.tensors[source], graph.tensors[target]
        draft.steps.append(_state_step(draft.place(target), Place("state", offset), before, after))
        offset += before.size


def _state_step(source: Place, target: Place, before: Tensor, after: Tensor) -> Step:
    """A copy; a table where the state's output has another scale than its input."""
    if quantization(before) == quantization(after):
        return layout.line(source, target, before.size)
    return Lookup(source, target, before.size, table("QUANTIZE", after, before))


def _moved(step: Step, buffer: int, name: str) -> Step:
    """The step with all places of one buffer in another."""
    places = {key: _renamed(value, buffer, name) for key, value in vars(step).items() if isinstance(value, Place)}
    return replace(step, **places)


def _renamed(place: Place, buffer: int, name: str) -> Place:
    return replace(place, buffer=name) if place.buffer == buffer else place


OPERATORS: dict[str, Callable[[Draft, Operator], None]] = {
    "ADD": layers.elementwise,
    "AVERAGE_POOL_2D": partial(layers.pool, kind="AVERAGE"),
    "CONCATENATION": layout.concatenation,
    "CONV_2D": layers.convolution,
    "DEPTHWISE_CONV_2D": layers.depthwise,
    "EXPAND_DIMS": layout.reshape,
    "FULLY_CONNECTED": layers.dense,
    "MAX_POOL_2D": partial(layers.pool, kind="MAX"),
    "MEAN": layers.mean,
    "MUL": layers.elementwise,
    "PAD": layout.pad,
    "RESHAPE": layout.reshape,
    "SLICE": layout.take_slice,
    "SQUEEZE": layout.reshape,
    "SUB": layers.elementwise,
    "SUM": partial(layers.mean, divides=False),
    "TRANSPOSE": layout.transpose,
    **{name: layers.lookup for name in FUNCTIONS},
}
