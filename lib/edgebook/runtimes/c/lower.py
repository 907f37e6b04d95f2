"""From a .tflite's operators to kernel calls: padding, reshapes and transposes disappear where they can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from edgebook.errors import Unsupported
from edgebook.runtimes.c.fixed_point import limits
from edgebook.runtimes.c.graph import Graph, Operator, Tensor
from edgebook.runtimes.c.steps import (
    Convolution,
    Copy,
    Depthwise,
    Elementwise,
    Fill,
    Lookup,
    Mean,
    Network,
    Place,
    Pool,
    Quantized,
    Step,
    Window,
)
from edgebook.runtimes.c.tables import FUNCTIONS, table


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
            raise Unsupported(f"c has no kernel for {operator.name}; litert runs it, c has {', '.join(sorted(OPERATORS))}")
        OPERATORS[operator.name](draft, operator)
    _hand_out(draft)
    first, last = graph.tensors[graph.input], graph.tensors[graph.output]
    ends = (first.size, last.size, n_state, _quantization(first), _quantization(last), tuple(start))
    return Network(tuple(draft.steps), draft.buffers, draft.constants, *ends)


def _quantization(tensor: Tensor) -> tuple[float, int]:
    return float(tensor.scale[0]), tensor.zero_point


def _hand_out(draft: Draft) -> None:
    """New states go to the caller at the end, when nobody reads the old ones; the output is written where the caller wants it."""
    graph = draft.graph
    place, size = draft.place(graph.output), graph.tensors[graph.output].size
    states = {target for _, target in graph.states}
    if isinstance(place.buffer, int) and draft.buffers[place.buffer] == size and graph.output not in states:
        draft.steps[:] = [_moved(step, place.buffer, "output") for step in draft.steps]
        del draft.buffers[place.buffer]
    else:
        draft.steps.append(_line(place, Place("output"), size))
    moves, offset = [], 0
    for source, target in graph.states:
        before, after = graph.tensors[source], graph.tensors[target]
        moves.append(_state_step(draft.place(target), Place("state", offset), before, after))
        offset += before.size
    draft.steps += moves


def _state_step(source: Place, target: Place, before: Tensor, after: Tensor) -> Step:
    """A copy; a table where the state's output has another scale than its input."""
    if _quantization(before) == _quantization(after):
        return _line(source, target, before.size)
    return Lookup(source, target, before.size, table("QUANTIZE", after, before))


def _moved(step: Step, buffer: int, name: str) -> Step:
    """The step with all places of one buffer in another."""
    places = {key: value for key, value in vars(step).items() if isinstance(value, Place) and value.buffer == buffer}
    return replace(step, **{key: replace(value, buffer=name) for key, value in places.items()}) if places else step


def _line(source: Place, target: Place, n: int) -> Copy:
    return Copy(source, target, (1, 1, 1, n), (0, 0, 0, 1), (0, 0, 0, 1))


def _quantized(operator: Operator, tensor: Tensor) -> Quantized:
    activation = operator.options.get("activation", "NONE")
    try:
        low, high = limits(activation, float(tensor.scale[0]), tensor.zero_point)
    except KeyError:
        raise Unsupported(f"c has no fused activation {activation} in {operator.name}; litert runs it") from None
    return Quantized(float(tensor.scale[0]), tensor.zero_point, low, high)


def _window(draft: Draft, operator: Operator, kernel: tuple[int, int]) -> Window:
    """The window of a convolution or a pool, with the padding of a folded PAD."""
    options, (_, out_height, out_width, _) = operator.options, draft.result(operator).shape
    if (options.get("dilationHFactor", 1), options.get("dilationWFactor", 1)) != (1, 1):
        raise Unsupported(f"c has no dilation in {operator.name}; litert runs it")
    source, number = draft.tensor(operator), operator.inputs[0]
    strides = options["strideH"], options["strideW"]
    if number in draft.padding:
        source, before = draft.padding[number]
        pads = tuple(int(p) for p in before[1:3])
    else:
        pads = tuple(
            max((out - 1) * stride + k - size, 0) // 2 if options["padding"] == "SAME" else 0
            for out, stride, k, size in zip((out_height, out_width), strides, kernel, source.shape[1:3], strict=True)
        )
    return Window(*source.shape[1:], out_height, out_width, *kernel, *strides, *pads)


def _weights(draft: Draft, operator: Operator, flat: np.ndarray) -> dict:
    """What all layers with weights share. `flat` (out_channels, taps): the zero point of the input goes into the bias."""
    source, weights, target = draft.tensor(operator), draft.tensor(operator, 1), draft.result(operator)
    bias = np.zeros(len(flat), np.int64)
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        bias = draft.tensor(operator, 2).data.astype(np.int64)
    bias = bias - source.zero_point * flat.astype(np.int64).sum(1)
    scales = np.float64(source.scale[0]) * weights.scale.astype(np.float64) / np.float64(target.scale[0])
    return {
        "source": draft.source(operator),
        "target": draft.target(operator),
        "bias": bias.astype(np.int32),
        "scales": scales,
        "zero_in": source.zero_point,
        "out": _quantized(operator, target),
    }


def _convolution(draft: Draft, operator: Operator) -> None:
    weights = draft.tensor(operator, 1).data  # (out, height, width, in)
    window = _window(draft, operator, weights.shape[1:3])
    if weights.shape[3] != window.channels:
        raise Unsupported(f"c has no CONV_2D with {window.channels // weights.shape[3]} groups; litert runs it")
    flat = weights.reshape(len(weights), -1)
    draft.steps.append(Convolution(window=window, weights=flat, **_weights(draft, operator, flat)))


def _depthwise(draft: Draft, operator: Operator) -> None:
    weights = draft.tensor(operator, 1).data  # (1, height, width, out)
    window = _window(draft, operator, weights.shape[1:3])
    flat = weights.reshape(-1, weights.shape[3])
    shared = _weights(draft, operator, flat.T)
    if window.channels == 1:  # a stem over one channel: every output channel reads the same patch
        draft.steps.append(Convolution(window=window, weights=np.ascontiguousarray(flat.T), **shared))
    else:
        draft.steps.append(Depthwise(window=window, weights=flat, **shared))


def _dense(draft: Draft, operator: Operator) -> None:
    if operator.options.get("weightsFormat", 0) != 0:
        raise Unsupported("c has no shuffled weights in FULLY_CONNECTED; litert runs it")
    flat, number = draft.tensor(operator, 1).data, operator.inputs[0]
    if number in draft.columns:
        moved = np.empty_like(flat)
        moved[:, draft.columns[number]] = flat
        flat = moved
    rows = draft.tensor(operator).size // flat.shape[1]
    window = Window(1, rows, flat.shape[1], 1, rows, 1, 1)
    draft.steps.append(Convolution(window=window, weights=flat, dense=True, **_weights(draft, operator, flat)))


def _elementwise(draft: Draft, operator: Operator) -> None:
    first, second, target = 0, 1, draft.result(operator)
    if draft.tensor(operator, 0).size < draft.tensor(operator, 1).size and operator.name != "SUB":
        first, second = 1, 0
    a, b = draft.tensor(operator, first), draft.tensor(operator, second)
    if a.size != target.size or not _repeats(b.shape, target.shape):
        raise Unsupported(f"c has no {operator.name} of shapes {a.shape} and {b.shape}; litert runs it")
    places = draft.source(operator, first), draft.source(operator, second), draft.target(operator)
    scales = (*_quantization(a), *_quantization(b))
    draft.steps.append(Elementwise(operator.name, *places, a.size, b.size, *scales, _quantized(operator, target)))


def _repeats(shape: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether broadcasting `shape` to `whole` is the same values again and again."""
    inner = [size for size in shape]
    while inner and inner[0] == 1:
        inner.pop(0)
    return not inner or tuple(inner) == whole[len(whole) - len(inner) :]


def _pool(draft: Draft, operator: Operator, kind: str) -> None:
    kernel = operator.options["filterHeight"], operator.options["filterWidth"]
    out = _quantized(operator, draft.result(operator))
    window = _window(draft, operator, kernel)
    draft.steps.append(Pool(kind, draft.source(operator), draft.target(operator), window, out.low, out.high))


def _mean(draft: Draft, operator: Operator) -> None:
    source = draft.tensor(operator)
    axes = sorted({int(axis) % len(source.shape) for axis in draft.tensor(operator, 1).data.ravel()})
    if not axes or any(size > 1 for size in (source.shape[a] for a in range(axes[0], axes[-1]) if a not in axes)):
        raise Unsupported(f"c has no MEAN over axes {axes} of {source.shape}; litert runs it")
    outer, inner = int(np.prod(source.shape[: axes[0]])), int(np.prod(source.shape[axes[-1] + 1 :]))
    count = source.size // (outer * inner)
    places = draft.source(operator), draft.target(operator)
    draft.steps.append(Mean(*places, outer, count, inner, *_quantization(source), _quantized(operator, draft.result(operator))))


def _lookup(draft: Draft, operator: Operator) -> None:
    values = table(operator.name, draft.tensor(operator), draft.result(operator))
    draft.steps.append(Lookup(draft.source(operator), draft.target(operator), draft.tensor(operator).size, values))


def _reshape(draft: Draft, operator: Operator) -> None:
    """The same bytes under another shape."""
    draft.places[operator.outputs[0]] = draft.source(operator)
    if operator.inputs[0] in draft.columns:
        draft.columns[operator.outputs[0]] = draft.columns[operator.inputs[0]]


def _pad(draft: Draft, operator: Operator) -> None:
    """Left to the convolutions behind it where it can be; else a filled buffer and a copy into it."""
    source, target, amounts = draft.tensor(operator), draft.result(operator), draft.tensor(operator, 1).data.reshape(-1, 2)
    users = _users(draft.graph, operator.outputs[0])
    spatial = len(source.shape) == 4 and not amounts[[0, 3]].any()
    if spatial and users and all("CONV" in user.name and user.options["padding"] == "VALID" for user in users):
        draft.places[operator.outputs[0]] = draft.source(operator)
        draft.padding[operator.outputs[0]] = source, amounts[:, 0]
        return
    place = draft.target(operator)
    draft.steps.append(Fill(place, target.size, target.zero_point))
    _copy(draft, draft.source(operator), place, source.shape, source.shape, target.shape, amounts[:, 0])


def _copy(draft: Draft, source: Place, target: Place, sizes, whole_in, whole_out, start_out) -> None:
    """Copy a block of `sizes` from the start of a tensor of shape `whole_in` into one of `whole_out`, from `start_out` on."""
    into, out = _strides(whole_in), _strides(whole_out)
    offset = sum(int(s) * stride for s, stride in zip(start_out, out, strict=True))
    _loops(draft, source, replace(target, offset=target.offset + offset), sizes, into, out)


def _loops(draft: Draft, source: Place, target: Place, sizes, into, out) -> None:
    missing = 4 - len(sizes)
    if missing < 0:
        raise Unsupported(f"c copies tensors of at most 4 dimensions, not {len(sizes)}; litert runs it")
    ones, zeros = (1,) * missing, (0,) * missing
    sizes = tuple(int(size) for size in sizes)
    draft.steps.append(Copy(source, target, (*ones, *sizes), (*zeros, *into), (*zeros, *out)))


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(np.prod(shape[axis + 1 :], dtype=np.int64)) for axis in range(len(shape)))


def _slice(draft: Draft, operator: Operator) -> None:
    """A place inside the tensor where the bytes lie together; else a copy."""
    source, target = draft.tensor(operator), draft.result(operator)
    begin = [int(b) for b in draft.tensor(operator, 1).data.ravel()]
    strides, place = _strides(source.shape), draft.source(operator)
    inside = replace(place, offset=place.offset + sum(b * s for b, s in zip(begin, strides, strict=True)))
    first = next((axis for axis, size in enumerate(target.shape) if size > 1), len(target.shape))
    if target.shape[first + 1 :] == source.shape[first + 1 :]:
        draft.places[operator.outputs[0]] = inside
    else:
        _loops(draft, inside, draft.target(operator), target.shape, strides, _strides(target.shape))


def _concatenation(draft: Draft, operator: Operator) -> None:
    target, axis, start = draft.result(operator), operator.options["axis"], 0
    place = draft.target(operator)
    for index in range(len(operator.inputs)):
        source = draft.tensor(operator, index)
        if _quantization(source) != _quantization(target):
            raise Unsupported("c has no CONCATENATION of different scales; litert runs it")
        begin = np.zeros(len(target.shape), int)
        begin[axis] = start
        _copy(draft, draft.source(operator, index), place, source.shape, source.shape, target.shape, begin)
        start += source.shape[axis]


def _transpose(draft: Draft, operator: Operator) -> None:
    """Nothing where only sizes of 1 move; left to a dense layer's columns where one follows; else a copy."""
    source, number, result = draft.tensor(operator), operator.inputs[0], operator.outputs[0]
    order = [int(axis) for axis in draft.tensor(operator, 1).data.ravel()]
    moving = [axis for axis in order if source.shape[axis] > 1]
    if moving == sorted(moving):
        draft.places[result] = draft.source(operator)
    elif number not in draft.columns and _only_dense_reads(draft.graph, result):
        draft.places[result] = draft.source(operator)
        draft.columns[result] = np.arange(source.size).reshape(source.shape).transpose(order).ravel()
    else:
        strides, target = _strides(source.shape), draft.result(operator)
        into = tuple(strides[axis] for axis in order)
        _loops(draft, draft.source(operator), draft.target(operator), target.shape, into, _strides(target.shape))


def _only_dense_reads(graph: Graph, number: int) -> bool:
    """Whether a tensor goes to dense layers of one row only, reshapes in between."""
    users = _users(graph, number)
    return bool(users) and number != graph.output and all(_is_dense_row(graph, user) for user in users)


def _is_dense_row(graph: Graph, user: Operator) -> bool:
    if user.name == "RESHAPE":
        return _only_dense_reads(graph, user.outputs[0])
    return user.name == "FULLY_CONNECTED" and graph.tensors[user.inputs[1]].shape[1] == graph.tensors[user.inputs[0]].size


def _users(graph: Graph, number: int) -> list[Operator]:
    return [operator for operator in graph.operators if number in operator.inputs]


OPERATORS: dict[str, Callable[[Draft, Operator], None]] = {
    "ADD": _elementwise,
    "AVERAGE_POOL_2D": partial(_pool, kind="AVERAGE"),
    "CONCATENATION": _concatenation,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "EXPAND_DIMS": _reshape,
    "FULLY_CONNECTED": _dense,
    "MAX_POOL_2D": partial(_pool, kind="MAX"),
    "MEAN": _mean,
    "MUL": _elementwise,
    "PAD": _pad,
    "RESHAPE": _reshape,
    "SLICE": _slice,
    "SQUEEZE": _reshape,
    "SUB": _elementwise,
    "TRANSPOSE": _transpose,
    **{name: _lookup for name in FUNCTIONS},
}
