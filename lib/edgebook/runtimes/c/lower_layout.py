"""Operators that move bytes, as steps or as nothing: reshapes, slices, padding and transposes disappear where they can."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgebook.errors import Unsupported
from edgebook.runtimes.c.draft import Draft, quantization, users
from edgebook.runtimes.c.graph import Graph, Operator
from edgebook.runtimes.c.steps import Copy, Fill, Place


def line(source: Place, target: Place, n: int) -> Copy:
    """A copy of n bytes that lie together on both sides."""
    return Copy(source, target, (1, 1, 1, n), (0, 0, 0, 1), (0, 0, 0, 1))


def reshape(draft: Draft, operator: Operator) -> None:
    """The same bytes under another shape."""
    draft.places[operator.outputs[0]] = draft.source(operator)
    if operator.inputs[0] in draft.columns:
        draft.columns[operator.outputs[0]] = draft.columns[operator.inputs[0]]


def pad(draft: Draft, operator: Operator) -> None:
    """Left to the convolutions behind it where it can be; else a filled buffer and a copy into it."""
    source, target, amounts = draft.tensor(operator), draft.result(operator), draft.tensor(operator, 1).data.reshape(-1, 2)
    readers = users(draft.graph, operator.outputs[0])
    spatial = len(source.shape) == 4 and not amounts[[0, 3]].any() and operator.outputs[0] != draft.graph.output
    if spatial and readers and all("CONV" in reader.name and reader.options["padding"] == "VALID" for reader in readers):
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
        raise Unsupported(f"c copies tensors of at most 4 dimensions, not {len(sizes)}; litert runs it", code="operator")
    ones, zeros = (1,) * missing, (0,) * missing
    sizes = tuple(int(size) for size in sizes)
    draft.steps.append(Copy(source, target, (*ones, *sizes), (*zeros, *into), (*zeros, *out)))


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(np.prod(shape[axis + 1 :], dtype=np.int64)) for axis in range(len(shape)))


def take_slice(draft: Draft, operator: Operator) -> None:
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


def concatenation(draft: Draft, operator: Operator) -> None:
    """One copy per input."""
    target, axis, start = draft.result(operator), operator.options["axis"], 0
    place = draft.target(operator)
    for index in range(len(operator.inputs)):
        source = draft.tensor(operator, index)
        if quantization(source) != quantization(target):
            raise Unsupported("c has no CONCATENATION of different scales; litert runs it", code="operator")
        begin = np.zeros(len(target.shape), int)
        begin[axis] = start
        _copy(draft, draft.source(operator, index), place, source.shape, source.shape, target.shape, begin)
        start += source.shape[axis]


def transpose(draft: Draft, operator: Operator) -> None:
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
    readers = users(graph, number)
    return bool(readers) and number != graph.output and all(_is_dense_row(graph, reader) for reader in readers)


def _is_dense_row(graph: Graph, reader: Operator) -> bool:
    if reader.name == "RESHAPE":
        return _only_dense_reads(graph, reader.outputs[0])
    return reader.name == "FULLY_CONNECTED" and graph.tensors[reader.inputs[1]].shape[1] == graph.tensors[reader.inputs[0]].size
