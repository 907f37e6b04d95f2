"""A .tflite written by hand, of one operator or a few: what the generated C is compared with LiteRT on."""

from __future__ import annotations

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

TYPES = {np.dtype(np.int8): schema.TensorType.INT8, np.dtype(np.int32): schema.TensorType.INT32}


def activation(shape, scale, zero_point):
    """An int8 tensor without data."""
    return {"shape": shape, "type": schema.TensorType.INT8, "scale": [scale], "zero_point": [zero_point], "data": None}


def constant(data, scale=(), axis=0):
    """A tensor with data; `scale`: one per tensor or one per slice along `axis`, zero points are 0."""
    data = np.asarray(data)
    scale = np.atleast_1d(np.asarray(scale, np.float32)) if len(np.atleast_1d(scale)) else []
    quantization = {"scale": scale, "zero_point": [0] * len(scale), "axis": axis}
    return {"shape": data.shape, "type": TYPES[data.dtype], "data": data, **quantization}


def network(operators, inputs, outputs, tensors):
    """The bytes of a .tflite. operators: (name, options or None, input numbers, output numbers)."""
    model = schema.ModelT()
    model.version = 3
    model.buffers = [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.tensors = [_tensor(tensor, model.buffers) for tensor in tensors]
    graph.inputs, graph.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
    names = list(dict.fromkeys(name for name, *_ in operators))
    model.operatorCodes = [_code(name) for name in names]
    graph.operators = [_operator(names.index(name), *rest) for name, *rest in operators]
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _tensor(given, buffers):
    tensor = schema.TensorT()
    tensor.shape, tensor.type, tensor.name = np.array(given["shape"], np.int32), given["type"], f"t{len(buffers)}"
    if given["data"] is not None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(given["data"]).tobytes(), np.uint8)
        buffers.append(buffer)
        tensor.buffer = len(buffers) - 1
    if len(given["scale"]):
        quantization = schema.QuantizationParametersT()
        quantization.scale = np.array(given["scale"], np.float32)
        quantization.zeroPoint = np.array(given["zero_point"], np.int64)
        quantization.quantizedDimension = given.get("axis", 0)
        tensor.quantization = quantization
    return tensor


def _code(name):
    code = schema.OperatorCodeT()
    number = getattr(schema.BuiltinOperator, name)
    code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)
    code.version = VERSIONS.get(name, 2)
    return code


def _operator(code, options, inputs, outputs):
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, np.array(inputs, np.int32), np.array(outputs, np.int32)
    if options:
        operator.builtinOptions = options
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
    return operator


def options(kind, **values):
    """`Conv2DOptions` and the like with some of their fields set."""
    record = getattr(schema, f"{kind}T")()
    for name, value in values.items():
        setattr(record, name, value)
    return record


VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "RESHAPE": 1}
