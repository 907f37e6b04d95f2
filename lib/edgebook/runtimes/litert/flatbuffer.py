"""The contents of a .tflite: stripped of what no runtime reads, and the operator that needs the most working memory."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

ALIGNMENT = 16  # bytes; the kernels read weights where they lie in the file


def read(data: bytes) -> Any:
    """The model of a file as plain objects, its weights inside: writers of large files put them behind the flatbuffer."""
    from ai_edge_litert import schema_py_generated as schema

    model: Any = schema.ModelT.InitFromPackedBuf(data, 0)
    for buffer in model.buffers:
        if buffer.offset > 1:  # 0 and 1 mean that there is nothing behind
            buffer.data = np.frombuffer(data, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    return model


def strip(data: bytes) -> bytes:
    """The same model without names, metadata, descriptions, and second copies of equal vectors.

    Signatures go too (they are names): calibrate and inspect the unstripped file. What is left computes the same, which
    `edgebook.runtimes.litert.export.finish` checks.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = read(data)
    model.description, model.metadata, model.metadataBuffer, model.signatureDefs = None, None, None, None
    for graph in model.subgraphs:
        graph.name = None
        graph.debugMetadataIndex = -1
        for tensor in graph.tensors:
            tensor.name = None
            if tensor.quantization is not None:
                tensor.quantization.min = tensor.quantization.max = None  # from calibration; scales stay
    _share_buffers(model)
    return _pack(model, schema)


def _share_buffers(model) -> None:
    """Equal weights once, unused buffers gone. Buffer 0 stays empty: it is where activations point."""
    shared, places = [model.buffers[0]], {}
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            content = model.buffers[tensor.buffer].data
            if content is None or len(content) == 0:
                tensor.buffer = 0
                continue
            key = hashlib.sha256(content.tobytes()).digest()
            if key not in places:
                places[key] = len(shared)
                shared.append(model.buffers[tensor.buffer])
            tensor.buffer = places[key]
    model.buffers = shared


def _pack(model, schema) -> bytes:
    import flatbuffers

    class Sharing(flatbuffers.Builder):
        """Writes equal vectors (scales, zero points, shapes) once."""

        def __init__(self, size: int):
            super().__init__(size)
            self.written: dict[tuple, int] = {}

        def CreateNumpyVector(self, x):
            key = x.dtype.str, x.tobytes()
            if key not in self.written:
                self.written[key] = super().CreateNumpyVector(x)
            return self.written[key]

    builder = Sharing(1024)
    with _aligned_buffers(schema):
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


@contextlib.contextmanager
def _aligned_buffers(schema) -> Iterator[None]:
    """While open, weights are written at multiples of ALIGNMENT: the generated code aligns bytes to bytes."""

    def pack(self, builder):
        place = None
        if self.data is not None and len(self.data):
            raw = np.asarray(self.data, np.uint8).tobytes()
            builder.StartVector(1, len(raw), ALIGNMENT)
            builder.head -= len(raw)
            builder.Bytes[builder.head : builder.head + len(raw)] = raw
            place = builder.EndVector()
        schema.BufferStart(builder)
        if place is not None:
            schema.BufferAddData(builder, place)
        return schema.BufferEnd(builder)

    generated, schema.BufferT.Pack = schema.BufferT.Pack, pack
    try:
        yield
    finally:
        schema.BufferT.Pack = generated


def peak_layer(data: bytes) -> dict[str, int | str]:
    """The operator while which the most activation bytes are alive: {"operator", "index", "output_shape", "bytes"}.

    A lower bound of any runtime's arena: every tensor from the operator that makes it to the last that reads it.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = read(data)
    graph = model.subgraphs[0]
    alive = _alive(graph)
    totals = [
        sum(_bytes(graph.tensors[t], schema) for t, (first, last) in alive.items() if first <= step <= last)
        for step in range(len(graph.operators))
    ]
    worst = int(np.argmax(totals))
    operator = graph.operators[worst]
    return {
        "operator": operator_name(model.operatorCodes[operator.opcodeIndex]),
        "index": worst,
        "output_shape": "x".join(str(size) for size in graph.tensors[operator.outputs[0]].shape),
        "bytes": totals[worst],
    }


def _alive(graph) -> dict[int, tuple[int, int]]:
    """Tensor -> first and last operator that need it; constants are not in it."""
    last_step = len(graph.operators) - 1
    spans = {int(t): [0, 0] for t in graph.inputs}
    for step, operator in enumerate(graph.operators):
        for t in operator.outputs:
            spans[int(t)] = [step, step]
        for t in operator.inputs:
            if int(t) in spans:
                spans[int(t)][1] = step
    for t in graph.outputs:
        spans[int(t)][1] = last_step
    return {t: (first, last) for t, (first, last) in spans.items()}


def _bytes(tensor, schema) -> int:
    kinds = schema.TensorType
    sizes = {kinds.FLOAT32: 4, kinds.INT32: 4, kinds.FLOAT16: 2, kinds.INT16: 2, kinds.INT64: 8}
    shape = tensor.shape if tensor.shape is not None else []
    return int(np.prod(shape, dtype=np.int64)) * sizes.get(tensor.type, 1)


def operators(data: bytes) -> list[str]:
    """The names of the operators that a file uses, each once, in order of first use."""
    model = read(data)
    used = [model.operatorCodes[op.opcodeIndex] for graph in model.subgraphs for op in graph.operators]
    return list(dict.fromkeys(operator_name(code) for code in used))


def operator_outputs(data: bytes) -> list[str]:
    """The name of each operator's outputs, in order; empty ones in a stripped file."""
    graph = read(data).subgraphs[0]
    return [";".join((graph.tensors[t].name or b"").decode() for t in operator.outputs) for operator in graph.operators]


def operator_name(code) -> str:
    """`CONV_2D` for the code of a convolution; the name that a custom operator has; the number of one that is newer than the
    schema here."""
    if code.customCode:
        return code.customCode.decode()
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    return names("BuiltinOperator").get(number, str(number))


@cache
def names(enumeration: str) -> dict[int, str]:
    """Number -> name of an enumeration of the schema, such as `Padding`."""
    from ai_edge_litert import schema_py_generated as schema

    return {number: name for name, number in vars(getattr(schema, enumeration)).items() if isinstance(number, int)}
