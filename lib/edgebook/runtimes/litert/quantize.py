"""Other number formats for LiteRT, by ai-edge-quantizer from the float file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgebook.errors import BadInput, Unsupported
from edgebook.runtimes import calibration, one_step
from edgebook.runtimes.base import Quant
from edgebook.runtimes.litert.flatbuffer import operator_outputs
from edgebook.runtimes.litert.one_step import calibration_feeds, join_ranges
from edgebook.runtimes.options import BOTH_GRANULARITIES, TOOL_ERRORS, require, require_matches, tool_failure

# ai-edge-quantizer's names of the algorithms that choose the scales of weights; those of activation ranges take min-max there
WEIGHTS = {"minmax": "min_max_uniform_quantize", "mse": "MSE", "octav": "OCTAV", "recover": "dequantized_weight_recovery"}
LAYERS = ("fp32", "fp16", "int8-dynamic", "int8-static", "int16x8", "int8-weight", "int4-weight", "int4-dynamic", "int4-static")
_STATIC = {
    "granularity": BOTH_GRANULARITIES,
    "algorithm": (*WEIGHTS, "average", *(name for name in calibration.ALGORITHMS if name not in WEIGHTS)),
    "per_layer": LAYERS,
}
# dynamic integers with one scale per layer are not among them: LiteRT's kernels give random outputs for those
OPTIONS = {
    "fp16": {"per_layer": LAYERS},
    "int8-static": _STATIC,
    "int16x8": _STATIC,
    "int4-static": _STATIC,
    "int8-dynamic": {"algorithm": tuple(WEIGHTS), "per_layer": LAYERS},
    "int4-dynamic": {"algorithm": tuple(WEIGHTS), "per_layer": LAYERS},
    "int8-weight": {"granularity": BOTH_GRANULARITIES, "algorithm": tuple(WEIGHTS), "per_layer": LAYERS},
    "int4-weight": {"granularity": BOTH_GRANULARITIES, "algorithm": tuple(WEIGHTS), "per_layer": LAYERS},
}
Ranges = dict[str, dict[str, np.ndarray]]


def quantize(source: Path, path: Path, quant: Quant, items: np.ndarray) -> dict[str, Any]:
    """The same graph with other numbers. `per_layer`: operators whose output's name in the float file matches the regular
    expression get that precision. Ranges are true minima and maxima over the items for `minmax`; the quantizer's own default
    averages them over items ("average" here), which clips recurrent states too hard.

    Raises Unsupported for what LiteRT does not have.
    """
    from ai_edge_quantizer import quantizer

    require("litert", quant, OPTIONS)
    require_matches("litert", quant, operator_outputs(source.read_bytes()))
    recipe = quantizer_recipe(quant)
    work = quantizer.Quantizer(str(source), recipe.get_quantization_recipe())
    ranges = activation_ranges(source, items, quant.algorithm, recipe) if work.need_calibration else None
    try:
        work.quantize(ranges).export_model(str(path), overwrite=True)
    except (BadInput, Unsupported):  # the time limit of an export
        raise
    except TOOL_ERRORS as error:
        raise tool_failure("litert", quant, error) from error
    one_step.copy_description(source, path)
    return {}


def activation_ranges(source: Path, items: np.ndarray, algorithm: str, recipe) -> Ranges:
    """Every activation's range by tensor name, {"min", "max"}, as the quantizer takes it."""
    from ai_edge_quantizer import calibrator
    from ai_edge_quantizer.utils import qsv_utils

    has_steps = one_step.description(source) is not None
    if has_steps and algorithm in calibration.ALGORITHMS:
        raise Unsupported(f"litert has algorithm minmax for one-step files, not {algorithm}", code="algorithm")
    modes = calibrator.CalibrationMode
    # equal to the default mode and 13 to 20 times faster: minima and maxima are taken in C++, not tensor by tensor in Python
    mode = modes.CALIBRATION_PRESERVE_ALL_TENSORS if algorithm == "average" else modes.CALIBRATION_PROFILER_BASED
    update = {} if algorithm == "average" else {"qsv_update_func": qsv_utils.min_max_update}
    measure = calibrator.Calibrator(str(source), num_threads=1, mode=mode, **update)
    feeds = calibration_feeds(source, items) if has_steps else [{"args_0": item[None]} for item in items]
    measure.calibrate({"serving_default": feeds}, recipe)
    ranges: Any = measure.get_model_qsvs()
    if has_steps:
        return join_ranges(source, ranges)
    return _clipped(source, items, algorithm, ranges) if algorithm in calibration.ALGORITHMS else ranges


def _clipped(source: Path, items: np.ndarray, algorithm: str, widest: Ranges) -> Ranges:
    """The widest ranges narrowed by a second pass over the items, which fills a histogram for each tensor."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(source), num_threads=1, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    index = interpreter.get_input_details()[0]["index"]
    floats = [d for d in interpreter.get_tensor_details() if d["dtype"] == np.float32 and d["name"] in widest]
    ends = {d["name"]: (float(np.min(widest[d["name"]]["min"])), float(np.max(widest[d["name"]]["max"]))) for d in floats}
    tensors = {d["name"]: d["index"] for d in floats if ends[d["name"]][1] > ends[d["name"]][0]}
    counts = {name: np.zeros(calibration.N_BINS) for name in tensors}
    for item in items:
        interpreter.set_tensor(index, item[None])
        interpreter.invoke()
        for name, tensor in tensors.items():
            counts[name] += np.histogram(interpreter.get_tensor(tensor), calibration.N_BINS, ends[name])[0]
    narrowed = dict(widest)
    for name, count in counts.items():
        edges = np.linspace(*ends[name], calibration.N_BINS + 1)
        low, high = calibration.choose_range(count, edges, algorithm)
        narrowed[name] = {"min": np.array([low]), "max": np.array([high])}
    return narrowed


def quantizer_recipe(quant: Quant):
    """ai-edge-quantizer's recipe for a Quant: its precision for all operators, then the layers that have another one."""
    from ai_edge_quantizer import recipe_manager

    manager = recipe_manager.RecipeManager()
    for pattern, precision in ((".*", quant.precision), *quant.per_layer):
        _add(manager, pattern, precision, quant)
    return manager


def _add(manager, pattern: str, precision: str, quant: Quant) -> None:
    """One entry of the recipe."""
    from ai_edge_quantizer import qtyping, recipe_manager

    from edgebook.vocabulary import PRECISIONS

    granularity = qtyping.QuantGranularity.CHANNELWISE if quant.granularity == "channel" else qtyping.QuantGranularity.TENSORWISE
    algorithm = recipe_manager.AlgorithmName(WEIGHTS.get(quant.algorithm, WEIGHTS["minmax"]))
    every, numbers = qtyping.TFLOperationName.ALL_SUPPORTED, PRECISIONS[precision]
    bits = int(numbers.weight_bits)
    if precision == "fp32":
        manager.add_quantization_config(pattern, every, None, recipe_manager.AlgorithmName.NO_QUANTIZE)
    elif precision == "fp16":
        half = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
        config = qtyping.OpQuantizationConfig(weight_tensor_config=half, explicit_dequantize=True)
        manager.add_quantization_config(pattern, every, config, recipe_manager.AlgorithmName.FLOAT_CASTING)
    elif numbers.arithmetic == "dynamic":
        manager.add_dynamic_config(pattern, every, bits, granularity, algorithm)
    elif numbers.arithmetic == "weight":
        manager.add_weight_only_config(pattern, every, bits, granularity, algorithm)
    else:  # static; only convolutions and dense layers have kernels for weights below 8 bits
        manager.add_static_config(pattern, every, numbers.activation_bits, 8, granularity, algorithm)
        for name in ("CONV_2D", "FULLY_CONNECTED") if bits < 8 else ():
            operation = qtyping.TFLOperationName(name)
            manager.add_static_config(pattern, operation, numbers.activation_bits, bits, granularity, algorithm)
