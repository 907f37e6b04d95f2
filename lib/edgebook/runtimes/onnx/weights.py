"""ONNX files of small weights, which ONNX Runtime's tool does not make: bfloat16, 8- or 4-bit integers, computed in float."""

from __future__ import annotations

import re

import numpy as np

from edgebook.errors import Unsupported
from edgebook.runtimes.base import Quant
from edgebook.runtimes.options import require_matches
from edgebook.vocabulary import PRECISIONS

INT4_OPSET = 21  # the first that has 4-bit integers


def weight_only(model, quant: Quant):
    """The model with its weights as 8- or 4-bit integers, each followed by a DequantizeLinear: small on disk, float as it
    runs. `quant.per_layer` gives weights whose name matches another precision. Raises Unsupported when there is no weight.
    """
    import onnx
    from onnx import version_converter

    if any(model_opset.version < INT4_OPSET for model_opset in model.opset_import if not model_opset.domain):
        model = version_converter.convert_version(model, INT4_OPSET)
    values, weights = {tensor.name: tensor for tensor in model.graph.initializer}, _weights(model)
    require_matches("onnx", quant, list(weights))
    nodes = []
    for name, axis in weights.items():
        precision = next((other for pattern, other in quant.per_layer if re.search(pattern, name)), quant.precision)
        if precision == "fp32":
            continue
        bits, w = int(PRECISIONS[precision].weight_bits), onnx.numpy_helper.to_array(values[name])
        nodes.append(_stored(model, name, w, bits, axis if quant.granularity == "channel" else None, quant.symmetric))
        model.graph.initializer.remove(values[name])
    if not nodes:
        raise Unsupported(_no_weight(quant.precision), code="operator")
    for node in reversed(nodes):
        model.graph.node.insert(0, node)
    return model


def bf16_weights(model):
    """The model with its weights as bfloat16, each followed by a Cast: half the bytes on disk, float as it runs, since ONNX
    Runtime has no bfloat16 kernels for CPUs. Raises Unsupported when there is no weight.
    """
    from onnx import TensorProto, helper, numpy_helper

    values = {tensor.name: tensor for tensor in model.graph.initializer}
    for name in (names := _weights(model)):
        w = numpy_helper.to_array(values[name])
        model.graph.initializer.remove(values[name])
        stored = helper.make_tensor(f"{name}_bf16", TensorProto.BFLOAT16, list(w.shape), _bf16(w).tobytes(), raw=True)
        model.graph.initializer.append(stored)
        model.graph.node.insert(0, helper.make_node("Cast", [stored.name], [name], f"{name}_real", to=TensorProto.FLOAT))
    if not names:
        raise Unsupported(_no_weight("bf16"), code="operator")
    return model


def _no_weight(precision: str) -> str:
    return f"onnx: no weight of a convolution, dense or recurrent layer to store as {precision}"


def _bf16(w: np.ndarray) -> np.ndarray:
    """The upper halves of float32 numbers, rounded to the nearest, ties to even; uint16."""
    import torch

    return torch.from_numpy(w.copy()).bfloat16().view(torch.uint16).numpy()


def _weights(model) -> dict[str, int]:
    """Name of every weight -> the axis of its output channels."""
    names = {tensor.name for tensor in model.graph.initializer if len(tensor.dims) > 1}
    axes = {}
    for node in model.graph.node:
        if node.op_type in ("Conv", "ConvTranspose") and node.input[1] in names:
            axes[node.input[1]] = 0 if node.op_type == "Conv" else 1
        elif node.op_type == "Gemm" and node.input[1] in names:
            axes[node.input[1]] = 0 if any(a.name == "transB" and a.i for a in node.attribute) else 1
        elif node.op_type == "MatMul" and node.input[1] in names:
            axes[node.input[1]] = 1
        elif node.op_type in ("GRU", "LSTM", "RNN"):
            axes |= {name: 1 for name in node.input[1:3] if name in names}
    return axes


def _stored(model, name: str, w: np.ndarray, bits: int, axis: int | None, symmetric: bool):
    """The node that makes floats of a weight's integers, scales and zero points, which are put into the graph."""
    import torch
    from onnx import TensorProto, helper

    from edgebook import affine

    weight = torch.from_numpy(w.copy())
    scale, zero_point = affine.qparams(*affine.ranges(weight, axis=axis), bits=bits, symmetric=symmetric)
    q = affine.quantize(weight, scale, zero_point, bits=bits, symmetric=symmetric, axis=axis)
    scales = helper.make_tensor(f"{name}_scale", TensorProto.FLOAT, list(scale.shape), scale.reshape(-1).numpy())
    integers = [_integers(f"{name}_q", q.numpy(), bits), scales, _integers(f"{name}_zero", zero_point.numpy(), bits)]
    model.graph.initializer.extend(integers)
    inputs = [tensor.name for tensor in integers]
    return helper.make_node("DequantizeLinear", inputs, [name], f"{name}_real", axis=axis if axis is not None else 1)


def _integers(name: str, q: np.ndarray, bits: int):
    """An initializer of 8- or 4-bit integers, one or two in a byte."""
    from onnx import TensorProto, helper, numpy_helper

    if bits == 8:
        return numpy_helper.from_array(q.astype(np.int8), name)
    return helper.make_tensor(name, TensorProto.INT4, list(q.shape), q.reshape(-1).astype(np.int8))
