"""Other number formats for ONNX Runtime: by its quantization tool, or as small weights (`weights`)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from edgebook.errors import BadInput, Unsupported
from edgebook.files import scratch
from edgebook.runtimes import calibration
from edgebook.runtimes.base import Quant
from edgebook.runtimes.onnx.weights import bf16_weights, weight_only
from edgebook.runtimes.options import BOTH, BOTH_GRANULARITIES, TOOL_ERRORS, require, require_matches, tool_failure

CHUNK = 16  # calibration items whose intermediate values are held in memory at a time
_WEIGHT_ONLY = {
    "granularity": BOTH_GRANULARITIES,
    "symmetric": BOTH,
    "per_layer": ("int8-weight", "int4-weight", "fp32"),
}
_TOOL = {"granularity": BOTH_GRANULARITIES, "symmetric": BOTH, "reduce_range": BOTH}
OPTIONS = {
    "fp16": {},
    "bf16": {},
    "int8-weight": _WEIGHT_ONLY,
    "int4-weight": _WEIGHT_ONLY,
    "int8-dynamic": _TOOL,
    "int8-static": {**_TOOL, "algorithm": ("minmax", *calibration.ALGORITHMS), "per_layer": ("fp32",)},
}


class Reader:
    """What ONNX Runtime's tool calls for calibration: `get_next` gives one item's feed, then None."""

    def __init__(self, items: np.ndarray):
        self.feeds = iter([{"x": item[None]} for item in items])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.feeds, None)


def quantize(source: Path, path: Path, quant: Quant, items: np.ndarray) -> dict[str, Any]:
    """fp16; weights only, as bf16 or integers; dynamic int8 (weights in the file, activations as it runs); static int8 (QDQ,
    uint8 activations: on x86 the signed ones run slower than float). `per_layer`: weights (weight-only) or nodes (static, to
    stay float) whose name matches the regular expression. Raises Unsupported for settings that OPTIONS lacks.
    """
    import onnx

    require("onnx", quant, OPTIONS)
    if quant.precision == "int8-static" and quant.granularity == "channel" and not quant.symmetric:
        raise Unsupported(
            "onnx has symmetric True for int8-static per channel, not False", code="algorithm"
        )  # its tool ignores it
    if quant.precision == "fp16":
        from onnxruntime.transformers.float16 import convert_float_to_float16

        onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), path)
    elif quant.precision == "bf16":
        onnx.save(bf16_weights(onnx.load(source)), path)
    elif quant.precision in ("int8-weight", "int4-weight"):
        onnx.save(weight_only(onnx.load(source), quant), path)
    else:
        from onnxruntime.quantization.shape_inference import quant_pre_process

        with scratch() as folder:
            prepared = folder / "prepared.onnx"
            quant_pre_process(str(source), str(prepared))
            _check_norms(prepared, quant)
            try:
                _tool(prepared, path, quant, items)
            except (BadInput, Unsupported):  # the time limit of an export, a layer that is not there
                raise
            except TOOL_ERRORS as error:
                raise tool_failure("onnx", quant, error) from error
    return {}


def _check_norms(prepared: Path, quant: Quant) -> None:
    """Raises Unsupported for a normalization over several dimensions whose scales the tool would need per channel."""
    import onnx

    if quant.precision != "int8-static" or quant.granularity != "channel":
        return
    graph, left_float = onnx.load(prepared).graph, _excluded_nodes(prepared, quant)
    n_dims = {tensor.name: len(tensor.dims) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "LayerNormalization" and n_dims.get(node.input[1], 1) > 1 and node.name not in left_float:
            cure = f"allowed: granularity tensor, or per_layer: {{{node.name!r}: fp32}}"
            reason = f"onnx has no int8-static per channel for {node.op_type} over several dimensions; {cure}"
            raise Unsupported(reason, code="operator", operator=node.op_type)


def _tool(prepared: Path, path: Path, quant: Quant, items: np.ndarray) -> None:
    """Dynamic or static int8 by ONNX Runtime's tool; activation ranges other than min-max by `calibration`."""
    from onnxruntime import quantization as ortq

    options = {"per_channel": quant.granularity == "channel", "reduce_range": quant.reduce_range}
    options |= {"weight_type": ortq.QuantType.QInt8}
    if quant.precision == "int8-dynamic":
        ortq.quantize_dynamic(prepared, path, **options, extra_options={"WeightSymmetric": quant.symmetric})
        return
    ranges = None
    if quant.algorithm != "minmax":
        ranges = prepared.with_name("ranges.json")
        save_ranges(prepared, items, quant.algorithm, ranges)
    ortq.quantize_static(
        prepared,
        path,
        None if ranges else Reader(items),
        quant_format=ortq.QuantFormat.QDQ,
        activation_type=ortq.QuantType.QUInt8,
        calibration_cache_path=ranges,
        nodes_to_exclude=_excluded_nodes(prepared, quant),
        extra_options={"WeightSymmetric": quant.symmetric, "ActivationSymmetric": False},
        **options,
    )


def save_ranges(prepared: Path, items: np.ndarray, algorithm: str, path: Path) -> None:
    """Activation ranges by `algorithm`, in the file that ONNX Runtime's tool reads instead of calibrating."""
    from onnxruntime.quantization import CalibrationMethod, create_calibrator
    from onnxruntime.quantization.calibrate import TensorsData
    from onnxruntime.quantization.quantize import save_tensors_data

    collector: Any = create_calibrator(
        prepared,
        None,
        augmented_model_path=str(path.with_suffix(".onnx")),
        calibrate_method=CalibrationMethod.Percentile,
        extra_options={"num_bins": calibration.N_BINS, "symmetric": False},
    )
    for first in range(0, len(items), CHUNK):
        collector.collect_data(Reader(items[first : first + CHUNK]))
    ranges = {}
    for name, (counts, edges, *_) in collector.collector.histogram_dict.items():
        ends = calibration.choose_range(np.asarray(counts, float), np.asarray(edges, float), algorithm)
        ranges[name] = tuple(np.array(end, np.float32) for end in ends)
    save_tensors_data(TensorsData(CalibrationMethod.MinMax, ranges), path)


def _excluded_nodes(prepared: Path, quant: Quant) -> list[str]:
    """Names of the nodes that stay float."""
    import onnx

    names = [node.name for node in onnx.load(prepared).graph.node] if quant.per_layer else []
    require_matches("onnx", quant, names)
    return [name for name in names if any(re.search(pattern, name) for pattern, _ in quant.per_layer)]
