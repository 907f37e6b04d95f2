"""What a .tflite file holds, read from its flatbuffer. LiteRT's wheel offers no time per operator."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

from edgebook.runtimes.litert import flatbuffer
from edgebook.runtimes.litert.flatbuffer import operator_name, read

EDGES = ("QUANTIZE", "DEQUANTIZE")


def operators(path: Path) -> list[str]:
    """Names of the operators of a file, each once."""
    return flatbuffer.operators(Path(path).read_bytes())


def inspect(path: Path) -> dict[str, Any]:
    """Plain data about one file: `ops` (operator -> number of nodes), `n_nodes`, `n_quantize` (quantize and dequantize nodes),
    `int8_nodes` (share of the other nodes that read int8: weights count), `macs`, `n_params`, `format`.
    """
    model = read(Path(path).read_bytes())
    graph = model.subgraphs[0]
    kinds = flatbuffer.names("TensorType")
    ops = [
        (
            operator_name(model.operatorCodes[operator.opcodeIndex]),
            [graph.tensors[i] for i in operator.inputs if i >= 0],
            [graph.tensors[i] for i in operator.outputs],
        )
        for operator in graph.operators
    ]
    work = [(op, inputs) for op, inputs, _ in ops if op not in EDGES]
    int8 = [op for op, inputs in work if any(kinds[tensor.type] in ("INT8", "UINT8") for tensor in inputs)]
    weights = [t for t in graph.tensors if _has_data(model, t)]
    return {
        "ops": dict(Counter(op for op, _, _ in ops)),
        "n_nodes": len(ops),
        "n_quantize": len(ops) - len(work),
        "int8_nodes": len(int8) / max(len(work), 1),
        "macs": sum(_macs(op, inputs, outputs) for op, inputs, outputs in ops),
        "n_params": sum(_size(t) for t in weights if _is_weight(t, kinds, ops)),
        "format": _format(ops, kinds),
    }


def _has_data(model, tensor) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def _is_weight(tensor, kinds: dict[int, str], ops: list) -> bool:
    """Weights and biases: what a convolution or a matrix product reads; shapes and paddings are not."""
    readers = [op for op, inputs, _ in ops if any(tensor is source for source in inputs)]
    if kinds[tensor.type] in ("INT32", "INT64") and not any("CONV" in op or op == "FULLY_CONNECTED" for op in readers):
        return False
    return kinds[tensor.type] not in ("BOOL", "STRING")


def _size(tensor) -> int:
    return math.prod(_shape(tensor)) if len(_shape(tensor)) else 1


def _shape(tensor) -> list[int]:
    return [] if tensor.shape is None else [abs(int(size)) for size in tensor.shape]


def _macs(op: str, inputs: list, outputs: list) -> int:
    """Multiply-accumulates of one operator: convolutions and matrix products; 0 for all others."""
    if len(inputs) < 2 or not outputs:
        return 0
    weight, out = _shape(inputs[1]), _shape(outputs[0])
    if op == "CONV_2D":  # weight (out, h, w, in)
        return math.prod(out) * math.prod(weight[1:])
    if op == "DEPTHWISE_CONV_2D":  # weight (1, h, w, out)
        return math.prod(out) * math.prod(weight[1:3])
    if op in ("FULLY_CONNECTED", "BATCH_MATMUL"):
        return math.prod(out) * (weight[-1] if op == "FULLY_CONNECTED" else _shape(inputs[0])[-1])
    return 0


def _format(ops: list, kinds: dict[int, str]) -> str:
    """The name of the number format, one of `vocabulary.PRECISIONS`, from what convolutions and matrix products read."""
    pairs = Counter((kinds[i[0].type], kinds[i[1].type]) for op, i, _ in ops if len(i) > 1 and ("CONV" in op or "FULLY" in op))
    (first, second), _ = (pairs or Counter([("FLOAT32", "FLOAT32")])).most_common(1)[0]
    if second == "INT4":
        return "int4-weight"
    if first in ("INT8", "UINT8", "INT16"):
        return "int16x8" if first == "INT16" else "int8-static"
    if second in ("INT8", "UINT8"):
        return "int8-dynamic"
    half = any(op == "DEQUANTIZE" and kinds[i[0].type] == "FLOAT16" for op, i, _ in ops)
    return "fp16" if half or second == "FLOAT16" else "fp32"
