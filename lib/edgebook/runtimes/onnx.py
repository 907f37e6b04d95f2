"""ONNX Runtime: float files from torch.onnx, integer files from ONNX Runtime's own quantization tool."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from edgebook.errors import BadInput, Unsupported
from edgebook.runtimes import Program, Quant, onnx_quant, ranges, sidecar

EXTENSION = ".onnx"
LIBRARIES = ("onnxruntime", "onnx", "onnxscript", "torch")
BATCHES = True
OPEN_SHAPES = True
PRECISIONS = ("fp32", "fp16", "bf16", "int8-dynamic", "int8-static", "int8-weight", "int4-weight")
ALGORITHMS = ("minmax", *ranges.ALGORITHMS)
KINDS = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8}


def convert(model, x, path: Path) -> None:
    """One file, weights inside: the exporter would put them into a second one and the size would lie. Of a model that was
    trained quantized (it has `integers`), the integer file that it describes."""
    import onnx
    import torch

    trained_quantized = hasattr(model, "integers")
    model = model.integers(fold=True) if trained_quantized else model
    program = torch.onnx.export(model, (x,), dynamo=True, verbose=False, input_names=["x"], output_names=["y"])
    proto = without_notes(program.model_proto)
    onnx.save(onnx_quant.unsigned_activations(proto) if trained_quantized else proto, path)


def without_notes(proto):
    """The model without the exporter's notes (stack traces, docs): a third of a small file, and no runtime reads them."""
    proto.ClearField("metadata_props")
    for part in (proto.graph, *proto.graph.node, *proto.graph.initializer, *proto.graph.value_info, *proto.functions):
        for note in ("metadata_props", "doc_string"):
            if note in part.DESCRIPTOR.fields_by_name:
                part.ClearField(note)
    return proto


def quantize(float_path: Path, path: Path, quant: Quant, items: np.ndarray) -> None:
    """fp16; weights only, as bf16 or integers; dynamic int8 (weights in the file, activations as it runs); static int8 (QDQ,
    uint8 activations: on x86 the signed ones run slower than float). `per_layer` holds (pattern, precision): weights
    (weight-only) or nodes (static, fp32 only) whose name matches the regular expression. Raises Unsupported for a
    combination that it lacks.
    """
    import onnx

    _check(quant)
    if quant.precision == "fp16":
        from onnxruntime.transformers.float16 import convert_float_to_float16

        onnx.save(convert_float_to_float16(onnx.load(float_path), keep_io_types=True), path)
    elif quant.precision == "bf16":
        onnx.save(onnx_quant.bf16_weights(onnx.load(float_path)), path)
    elif quant.precision.endswith("-weight"):
        onnx.save(onnx_quant.weight_only(onnx.load(float_path), quant), path)
    else:
        from onnxruntime.quantization.shape_inference import quant_pre_process

        with tempfile.TemporaryDirectory() as folder:
            prepared = Path(folder) / "prepared.onnx"
            quant_pre_process(str(float_path), str(prepared))
            _tool(prepared, path, quant, items)


def _check(quant: Quant) -> None:
    if quant.algorithm not in ALGORITHMS:
        raise Unsupported(f"onnx has no algorithm {quant.algorithm!r}; it has {', '.join(ALGORITHMS)}")
    if quant.algorithm != "minmax" and quant.precision != "int8-static":
        raise Unsupported(f"onnx has no algorithm {quant.algorithm!r} for {quant.precision}; it has minmax")
    has = {"int8-static": "fp32"}.get(quant.precision, "int8-weight, int4-weight, fp32")
    wrong = [own for _, own in quant.per_layer if own not in has.split(", ")]
    if wrong or (quant.per_layer and quant.precision in ("fp16", "bf16", "int8-dynamic")):
        raise Unsupported(f"onnx has no {', '.join(wrong) or 'other precision'} for single layers of {quant.precision}; "
                          f"int8-static has fp32, weight-only has int8-weight, int4-weight, fp32")  # fmt: skip


def _tool(prepared: Path, path: Path, quant: Quant, items: np.ndarray) -> None:
    """Dynamic or static int8, by ONNX Runtime's tool; ranges other than min-max come from our own choice."""
    from onnxruntime import quantization as ortq

    own = {"per_channel": quant.granularity == "channel", "reduce_range": quant.reduce_range}
    own |= {"weight_type": ortq.QuantType.QInt8}
    if quant.precision == "int8-dynamic":
        ortq.quantize_dynamic(prepared, path, **own, extra_options={"WeightSymmetric": quant.symmetric})
        return
    ready = None
    if quant.algorithm != "minmax":
        ready = prepared.with_name("ranges.json")
        onnx_quant.save_ranges(prepared, items, quant.algorithm, ready)
    ortq.quantize_static(
        prepared, path, None if ready else onnx_quant.Reader(items), quant_format=ortq.QuantFormat.QDQ, **own,
        activation_type=ortq.QuantType.QUInt8, calibration_cache_path=ready,
        nodes_to_exclude=onnx_quant.matching_nodes(prepared, [pattern for pattern, _ in quant.per_layer]),
        extra_options={"WeightSymmetric": quant.symmetric, "ActivationSymmetric": False},
    )  # fmt: skip


def preload() -> None:
    """Import the runtime: the memory that it takes before any file is loaded is not the file's."""
    import onnxruntime  # noqa: F401


def inspect(path: Path) -> dict:
    """What is in the file and how it runs; see `onnx_inspect`."""
    from edgebook.runtimes import onnx_inspect

    return onnx_inspect.inspect(path)


def load(path: Path, *, threads: int = 1, shape: tuple[int, ...] | None = None) -> Program:
    """A session with its input and output bound in place, so that the timed call copies nothing. `shape`: an item's, for a
    file that leaves sizes open."""
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
    shape = _filled(inputs[0].shape, shape)
    dtype = KINDS.get(inputs[0].type)
    if dtype is None:
        raise BadInput(f"{path}: its input is {inputs[0].type}; allowed: {', '.join(KINDS)}")
    if not shape or shape[0] < 1:
        raise BadInput(f"{path}: its input is {shape}; allowed: a first size, the batch, that is 1 or more, or open")
    stored = _to_stored(path, dtype)
    binding = session.io_binding()
    buffer = ort.OrtValue.ortvalue_from_numpy(np.zeros(shape, dtype))
    binding.bind_ortvalue_input(inputs[0].name, buffer)
    binding.bind_output(outputs[0].name)

    def put(x: np.ndarray) -> None:
        buffer.update_inplace(np.ascontiguousarray(stored(x), dtype=dtype))

    def invoke() -> None:
        session.run_with_iobinding(binding)

    return Program(put, invoke, lambda: binding.copy_outputs_to_cpu()[0], shape[1:], batch=shape[0])


def _filled(sizes: list, item: tuple[int, ...] | None) -> tuple[int, ...]:
    """An input's shape, its open sizes (names, -1) taken from an item where there is one, else 1; a batch of 1."""
    given = (1, *item) if item and len(item) + 1 == len(sizes) else (1,) * len(sizes)
    return tuple(size if isinstance(size, int) and size > 0 else own for size, own in zip(sizes, given, strict=True))


def _to_stored(path: Path, dtype: type):
    """What turns real values into those of an integer input: ONNX keeps no scale for it, so the sidecar must."""
    if not np.issubdtype(dtype, np.integer):
        return lambda x: x
    notes = sidecar.read(path)
    if "scale" not in (notes.get("input") or {}):
        raise BadInput(f"{path}: its input is {dtype.__name__}; {path.with_suffix('.json').name} beside it must give input.scale")
    scale, zero_point = sidecar.numbers(notes, path, "input", "scale", "zero_point", 1.0)
    limits = np.iinfo(dtype)
    return lambda x: np.clip(np.round(np.asarray(x) / scale) + zero_point, limits.min, limits.max)
