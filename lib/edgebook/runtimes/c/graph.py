"""What is in a .tflite: tensors and operators as frozen records, without the flatbuffer's types."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgebook.errors import BadInput, Unsupported
from edgebook.runtimes import one_step
from edgebook.runtimes.litert import flatbuffer

DTYPES = {"INT8": np.int8, "INT32": np.int32, "INT64": np.int64, "FLOAT32": np.float32, "INT16": np.int16, "UINT8": np.uint8}
NOT_INT8 = {"INT16": "int16x8", "FLOAT32": "fp32", "FLOAT16": "fp16", "UINT8": "uint8"}


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor. `data` is None for activations; int4 weights are unpacked to int8. `scale`: one value per tensor or channel."""

    shape: tuple[int, ...]
    dtype: str
    scale: np.ndarray
    zero_point: int
    data: np.ndarray | None

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def item_shape(self) -> tuple[int, ...]:
        """The shape without the batch's 1."""
        return self.shape[1:] if self.shape[:1] == (1,) else self.shape


@dataclass(frozen=True)
class Operator:
    """One operator: LiteRT's name (CONV_2D), tensor numbers (-1: left out), its options by their name in the schema."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Any]


@dataclass(frozen=True)
class Graph:
    """A network with one input and one output, and the states of a one-step recurrent network as (input, output) pairs."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    input: int
    output: int
    states: tuple[tuple[int, int], ...] = ()


def read(path: Path) -> Graph:
    """The graph of a static int8 .tflite; `model.json` beside it names the states of a one-step recurrent network.

    Raises BadInput for a file that is no .tflite or has several inputs that nothing explains, Unsupported for another
    precision.
    """
    path = Path(path)
    data = path.read_bytes()
    if data[4:8] != b"TFL3":
        raise BadInput(f"{path}: is not a .tflite file")
    try:
        model = flatbuffer.read(data)
    except Exception as error:  # the flatbuffer reader raises whatever a damaged offset leads to
        raise BadInput(f"{path}: cannot be read: {error}") from error
    if len(model.subgraphs) != 1:
        raise Unsupported(f"c runs files with one graph, {path.name} has {len(model.subgraphs)}", code="structure")
    part = model.subgraphs[0]
    tensors = tuple(_tensor(tensor, model.buffers) for tensor in part.tensors)
    operators = tuple(_operator(operator, model.operatorCodes) for operator in part.operators)
    source, sink, states = _ends([int(t) for t in part.inputs], [int(t) for t in part.outputs], path)
    graph = Graph(tensors, operators, source, sink, states)
    _check_precision(graph)
    return graph


def _tensor(tensor, buffers) -> Tensor:
    shape = tuple(int(size) for size in (tensor.shape if tensor.shape is not None else ()))
    dtype, raw = flatbuffer.names("TensorType")[tensor.type], buffers[tensor.buffer].data
    quantization = tensor.quantization
    has_scale = quantization is not None and quantization.scale is not None and len(quantization.scale) > 0
    scale = np.asarray(quantization.scale, np.float32) if has_scale else np.zeros(0, np.float32)
    zero_point = int(quantization.zeroPoint[0]) if has_scale and quantization.zeroPoint is not None else 0
    values = _values(np.asarray(raw, np.uint8), dtype, shape) if raw is not None and len(raw) else None
    return Tensor(shape, dtype, scale, zero_point, values)


def _values(raw: np.ndarray, dtype: str, shape: tuple[int, ...]) -> np.ndarray | None:
    if dtype == "INT4":  # two values per byte, the lower four bits first
        nibbles = np.stack([raw << 4, raw & 0xF0], -1).view(np.int8).ravel() >> 4
        return nibbles[: int(np.prod(shape, dtype=np.int64))].reshape(shape)
    return raw.view(DTYPES[dtype]).reshape(shape) if dtype in DTYPES else None


def _operator(operator, codes) -> Operator:
    options = dict(vars(operator.builtinOptions)) if operator.builtinOptions is not None else {}
    if "fusedActivationFunction" in options:
        options["activation"] = flatbuffer.names("ActivationFunctionType")[options["fusedActivationFunction"]]
    if "padding" in options:
        options["padding"] = flatbuffer.names("Padding")[options["padding"]]
    name = flatbuffer.operator_name(codes[operator.opcodeIndex])
    return Operator(name, tuple(int(t) for t in operator.inputs), tuple(int(t) for t in operator.outputs), options)


def _ends(inputs: list[int], outputs: list[int], path: Path) -> tuple[int, int, tuple[tuple[int, int], ...]]:
    """The input, the output and the state pairs, as tensor numbers."""
    if notes := one_step.description(path):
        states = tuple((inputs[state["input"]], outputs[state["output"]]) for state in notes["states"])
        return inputs[notes["x"]], outputs[notes["y"]], states
    if len(inputs) != 1 or len(outputs) != 1:
        given = f"{len(inputs)} inputs and {len(outputs)} outputs"
        raise BadInput(f"{path}: has {given}; allowed: one of each, or {path.stem}.json with states")
    return inputs[0], outputs[0], ()


def _check_precision(graph: Graph) -> None:
    """Raises Unsupported unless all activations are int8 and all weights are constants of int8 or int4."""
    for operator in graph.operators:
        for number in (*operator.inputs, *operator.outputs):
            tensor = graph.tensors[number]
            if number >= 0 and tensor.data is None and tensor.dtype != "INT8":
                precision = NOT_INT8.get(tensor.dtype, tensor.dtype)
                raise Unsupported(
                    f"c runs static int8 files, {operator.name} here is {precision}; litert runs it", code="precision"
                )
        weights = graph.tensors[operator.inputs[1]] if operator.name in WEIGHTED else None
        if weights and (weights.data is None or weights.dtype not in ("INT8", "INT4")):
            given = f"{operator.name} here has {weights.dtype}"
            raise Unsupported(f"c has only constant int8 or int4 weights, {given}; litert runs it", code="precision")


WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
