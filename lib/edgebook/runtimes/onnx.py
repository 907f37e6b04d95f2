"""ONNX Runtime: float files from torch.onnx, integer files from ONNX Runtime's own quantization tool."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from edgebook.errors import BadInput, Unsupported
from edgebook.runtimes import Program, Quant, sidecar

EXTENSION = ".onnx"
LIBRARIES = ("onnxruntime", "onnx", "onnxscript", "torch")
PRECISIONS = ("fp32", "fp16", "int8-dynamic", "int8-static")
KINDS = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8}


def convert(model, x, path: Path) -> None:
    """One file, weights inside: the exporter would put them into a second one and the size would lie."""
    import onnx
    import torch

    program = torch.onnx.export(model, (x,), dynamo=True, verbose=False, input_names=["x"], output_names=["y"])
    onnx.save(without_notes(program.model_proto), path)


def without_notes(proto):
    """The model without the exporter's notes (stack traces, docs): a third of a small file, and no runtime reads them."""
    proto.ClearField("metadata_props")
    for part in (proto.graph, *proto.graph.node, *proto.graph.initializer, *proto.graph.value_info, *proto.functions):
        for note in ("metadata_props", "doc_string"):
            if note in part.DESCRIPTOR.fields_by_name:
                part.ClearField(note)
    return proto


def quantize(float_path: Path, path: Path, quant: Quant, items: np.ndarray) -> None:
    """fp16, dynamic int8 (weights in the file, activations as it runs) or static int8 (QDQ)."""
    import onnx

    if quant.precision == "fp16":
        from onnxruntime.transformers.float16 import convert_float_to_float16

        onnx.save(convert_float_to_float16(onnx.load(float_path), keep_io_types=True), path)
        return
    from onnxruntime import quantization as ortq
    from onnxruntime.quantization.shape_inference import quant_pre_process

    per_channel = quant.granularity == "channel"
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(float_path), str(prepared))
        if quant.precision == "int8-dynamic":
            ortq.quantize_dynamic(prepared, path, per_channel=per_channel, reduce_range=quant.reduce_range,
                                  weight_type=ortq.QuantType.QInt8)  # fmt: skip
            return
        methods = {"minmax": "MinMax", "entropy": "Entropy", "percentile": "Percentile"}
        if quant.algorithm not in methods:
            raise Unsupported(f"onnx cannot calibrate by {quant.algorithm!r}; it has {', '.join(methods)}")
        ortq.quantize_static(
            prepared, path, _Reader(items), quant_format=ortq.QuantFormat.QDQ, per_channel=per_channel,
            reduce_range=quant.reduce_range, activation_type=ortq.QuantType.QUInt8, weight_type=ortq.QuantType.QInt8,
            calibrate_method=getattr(ortq.CalibrationMethod, methods[quant.algorithm]),
            extra_options={"WeightSymmetric": quant.symmetric, "ActivationSymmetric": False},
        )  # fmt: skip


class _Reader:
    """What quantize_static calls for calibration: `get_next` gives one item's feed, then None."""

    def __init__(self, items: np.ndarray):
        self.feeds = iter([{"x": item[None]} for item in items])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.feeds, None)


def preload() -> None:
    """Import the runtime: the memory that it takes before any file is loaded is not the file's."""
    import onnxruntime  # noqa: F401


def inspect(path: Path) -> dict:
    """What is in the file and how it runs; see `onnx_inspect`."""
    from edgebook.runtimes import onnx_inspect

    return onnx_inspect.inspect(path)


def load(path: Path, *, threads: int = 1) -> Program:
    """A session with its input and output bound in place, so that the timed call copies nothing."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise BadInput(f"{path}: ONNX Runtime cannot load it: {str(error).splitlines()[0][:200]}") from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1:
        raise BadInput(f"{path}: has {len(inputs)} inputs ({', '.join(i.name for i in inputs)}); one is allowed")
    shape = tuple(size if isinstance(size, int) else 1 for size in inputs[0].shape)
    dtype = KINDS.get(inputs[0].type)
    if dtype is None:
        raise BadInput(f"{path}: its input is {inputs[0].type}; allowed: {', '.join(KINDS)}")
    if not shape or shape[0] != 1:
        raise BadInput(f"{path}: its input is {shape}; allowed: a first size, the batch, that is 1 or open")
    stored = _integers(path, dtype)
    binding = session.io_binding()
    buffer = ort.OrtValue.ortvalue_from_numpy(np.zeros(shape, dtype))
    binding.bind_ortvalue_input(inputs[0].name, buffer)
    binding.bind_output(outputs[0].name)

    def put(x: np.ndarray) -> None:
        buffer.update_inplace(np.ascontiguousarray(stored(x), dtype=dtype))

    def invoke() -> None:
        session.run_with_iobinding(binding)

    return Program(put, invoke, lambda: binding.copy_outputs_to_cpu()[0], shape[1:])


def _integers(path: Path, dtype: type):
    """What turns real values into those of an integer input: ONNX keeps no scale for it, so the sidecar must."""
    if not np.issubdtype(dtype, np.integer):
        return lambda x: x
    notes = sidecar.read(path)
    if "scale" not in (notes.get("input") or {}):
        raise BadInput(f"{path}: its input is {dtype.__name__}; {path.with_suffix('.json').name} beside it must give input.scale")
    scale, zero_point = sidecar.numbers(notes, path, "input", "scale", "zero_point", 1.0)
    limits = np.iinfo(dtype)
    return lambda x: np.clip(np.round(np.asarray(x) / scale) + zero_point, limits.min, limits.max)
