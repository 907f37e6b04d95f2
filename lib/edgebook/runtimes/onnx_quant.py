"""What ONNX Runtime's quantization tool lacks: files of small weights, our own activation ranges, unsigned QAT activations."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from edgebook.errors import Unsupported
from edgebook.runtimes import Quant, ranges

CHUNK = 16  # calibration items whose intermediate values are held in memory at a time
INT4_OPSET = 21  # the first that knows 4-bit integers


class Reader:
    """What ONNX Runtime's tool calls for calibration: `get_next` gives one item's feed, then None."""

    def __init__(self, items: np.ndarray):
        self.feeds = iter([{"x": item[None]} for item in items])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.feeds, None)


def weight_only(model, quant: Quant):
    """The model with its weights as 8- or 4-bit integers, each followed by a DequantizeLinear: small on disk, float as it
    runs. `quant.per_layer` gives weights whose name matches their own precision. Raises Unsupported when nothing matches.
    """
    import onnx
    from onnx import version_converter

    if any(model_opset.version < INT4_OPSET for model_opset in model.opset_import if not model_opset.domain):
        model = version_converter.convert_version(model, INT4_OPSET)
    values = {tensor.name: tensor for tensor in model.graph.initializer}
    fresh = []
    for name, axis in _weights(model).items():
        precision = next((own for pattern, own in quant.per_layer if re.search(pattern, name)), quant.precision)
        if precision == "fp32":
            continue
        w = onnx.numpy_helper.to_array(values[name])
        fresh.append(_stored(model, name, w, int(precision[3]), axis if quant.granularity == "channel" else None, quant))
        model.graph.initializer.remove(values[name])
    if not fresh:
        raise Unsupported(f"onnx: no weight of a convolution, dense or recurrent layer to store as {quant.precision}")
    for node in reversed(fresh):
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
        raise Unsupported("onnx: no weight of a convolution, dense or recurrent layer to store as bf16")
    return model


def _bf16(w: np.ndarray) -> np.ndarray:
    """The upper halves of float32 numbers, rounded to the nearest, ties to even; uint16."""
    import torch

    return torch.from_numpy(w.copy()).bfloat16().view(torch.uint16).numpy()


def _weights(model) -> dict[str, int]:
    """Name of every weight -> the axis of its output channels."""
    names = {tensor.name for tensor in model.graph.initializer if len(tensor.dims) > 1}
    found = {}
    for node in model.graph.node:
        if node.op_type in ("Conv", "ConvTranspose") and node.input[1] in names:
            found[node.input[1]] = 0 if node.op_type == "Conv" else 1
        elif node.op_type == "Gemm" and node.input[1] in names:
            found[node.input[1]] = 0 if any(a.name == "transB" and a.i for a in node.attribute) else 1
        elif node.op_type == "MatMul" and node.input[1] in names:
            found[node.input[1]] = 1
        elif node.op_type in ("GRU", "LSTM", "RNN"):
            found |= {name: 1 for name in node.input[1:3] if name in names}
    return found


def _stored(model, name: str, w: np.ndarray, bits: int, axis: int | None, quant: Quant):
    """Put a weight's integers, scales and zero points into the graph; the node that makes floats of them."""
    import torch
    from onnx import TensorProto, helper

    from edgebook import affine

    w = torch.from_numpy(w.copy())
    scale, zero = affine.qparams(*affine.ranges(w, axis=axis), bits=bits, symmetric=quant.symmetric)
    q = affine.quantize(w, scale, zero, bits=bits, symmetric=quant.symmetric, axis=axis)
    model.graph.initializer.extend([
        _integers(f"{name}_q", q.numpy(), bits),
        helper.make_tensor(f"{name}_scale", TensorProto.FLOAT, list(scale.shape), scale.reshape(-1).numpy()),
        _integers(f"{name}_zero", zero.numpy(), bits),
    ])  # fmt: skip
    inputs = [f"{name}_q", f"{name}_scale", f"{name}_zero"]
    return helper.make_node("DequantizeLinear", inputs, [name], f"{name}_real", axis=axis if axis is not None else 1)


def _integers(name: str, q: np.ndarray, bits: int):
    """An initializer of 8- or 4-bit integers, one or two in a byte."""
    from onnx import TensorProto, helper, numpy_helper

    if bits == 8:
        return numpy_helper.from_array(q.astype(np.int8), name)
    return helper.make_tensor(name, TensorProto.INT4, list(q.shape), q.reshape(-1).astype(np.int8))


def save_ranges(prepared: Path, items: np.ndarray, algorithm: str, path: Path) -> None:
    """Activation ranges by `algorithm`, in the file that ONNX Runtime's tool reads instead of calibrating."""
    from onnxruntime.quantization import CalibrationMethod, create_calibrator
    from onnxruntime.quantization.calibrate import TensorsData
    from onnxruntime.quantization.quantize import save_tensors_data

    collector = create_calibrator(
        prepared, None, augmented_model_path=str(path.with_suffix(".onnx")), calibrate_method=CalibrationMethod.Percentile,
        extra_options={"num_bins": ranges.N_BINS, "symmetric": False},
    )  # fmt: skip
    for first in range(0, len(items), CHUNK):
        collector.collect_data(Reader(items[first : first + CHUNK]))
    found = {}
    for name, (counts, edges, *_) in collector.collector.histogram_dict.items():
        ends = ranges.choose(np.asarray(counts, float), np.asarray(edges, float), algorithm)
        found[name] = tuple(np.array(end, np.float32) for end in ends)
    save_tensors_data(TensorsData(CalibrationMethod.MinMax, found), path)


def matching_nodes(path: Path, patterns: list[str]) -> list[str]:
    """Names of the nodes that match a pattern. Raises Unsupported for a pattern that matches none."""
    import onnx

    names = [node.name for node in onnx.load(path).graph.node] if patterns else []
    for pattern in patterns:
        if not any(re.search(pattern, name) for name in names):
            raise Unsupported(f"onnx: no node matches {pattern!r}; it has {', '.join(names)[:200]}")
    return [name for name in names if any(re.search(pattern, name) for pattern in patterns)]


def unsigned_activations(model):
    """The same numbers with uint8 activations: every int8 zero point moved up by 128, and no ReLU whose result is then
    quantized from zero on. Signed activations leave most convolutions float on x86, at twice the time.
    """
    import onnx

    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    quantizing = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    sources = {node.output[0] for node in quantizing}
    moved = {}
    for node in model.graph.node:
        signed = node in quantizing or (node.op_type == "DequantizeLinear" and node.input[0] in sources)
        if signed and values[node.input[2]].dtype == np.int8:
            zero = values[node.input[2]].astype(np.int16) + 128
            moved[f"{node.input[2]}_u8"] = zero.astype(np.uint8)
            node.input[2] = f"{node.input[2]}_u8"
    model.graph.initializer.extend(onnx.numpy_helper.from_array(zero, name) for name, zero in moved.items())
    model.graph.ClearField("value_info")  # says int8
    _drop_relus(model, moved)
    used = {name for node in model.graph.node for name in node.input}
    for tensor in [tensor for tensor in model.graph.initializer if tensor.name not in used]:
        model.graph.initializer.remove(tensor)
    return model


def _drop_relus(model, zero_points: dict[str, np.ndarray]) -> None:
    """Remove each ReLU that only QuantizeLinears with zero point 0 read: they clip negative values themselves."""
    for relu in [node for node in model.graph.node if node.op_type == "Relu"]:
        readers = [node for node in model.graph.node if relu.output[0] in node.input]
        if readers and all(r.op_type == "QuantizeLinear" and not zero_points[r.input[2]].any() for r in readers):
            for reader in readers:
                reader.input[0] = relu.input[0]
            model.graph.node.remove(relu)
