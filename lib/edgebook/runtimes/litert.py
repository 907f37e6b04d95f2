"""LiteRT (TensorFlow Lite's successor): float files from litert-torch, integer files from ai-edge-quantizer."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgebook.errors import BadInput, Unsupported
from edgebook.runtimes import Program, Quant, ranges, streaming, tflite_file
from edgebook.runtimes.streaming import to_real, to_stored

EXTENSION = ".tflite"
LIBRARIES = ("ai-edge-litert", "litert-torch", "ai-edge-quantizer", "torch")
PRECISIONS = ("fp32", "fp16", "int8-dynamic", "int8-static", "int16x8",
              "int8-weight", "int4-weight", "int4-dynamic", "int4-static")  # fmt: skip
WEIGHTS = {"minmax": "min_max_uniform_quantize", "mse": "MSE", "octav": "OCTAV", "recover": "dequantized_weight_recovery"}
ALGORITHMS = ("minmax", "average", "percentile", "entropy", "mse", "octav", "recover")
BATCHES = True
STREAMS = True  # takes a recurrent network one step at a time


def convert(model, x, path: Path) -> None:
    """The float file; of a streaming network, its one step; of a model that was trained quantized (it has `integers`), the
    integer file that it describes."""
    import litert_torch

    if hasattr(model, "step"):
        return streaming.convert(model, x, path)
    if hasattr(model, "integers"):
        from litert_torch.quantize import pt2e_quantizer, quant_config

        ours = pt2e_quantizer.get_symmetric_quantization_config(is_per_channel=True, is_qat=True)
        ours = quant_config.QuantConfig(pt2e_quantizer=pt2e_quantizer.PT2EQuantizer().set_global(ours))
        return litert_torch.convert(model.integers(fold=False), (x,), quant_config=ours).export(str(path))
    litert_torch.convert(model, (x,)).export(str(path))


def quantize(float_path: Path, path: Path, quant: Quant, items: np.ndarray) -> None:
    """The same graph with other numbers. Ranges are true minima and maxima over the items unless the Quant says else: the
    quantizer's own default averages them over items ("average" here), which clips recurrent states to death.
    """
    from ai_edge_quantizer import quantizer

    recipe = _recipe(quant)
    work = quantizer.Quantizer(str(float_path), recipe.get_quantization_recipe())
    found = _ranges(float_path, items, quant.algorithm, recipe) if work.need_calibration else None
    try:
        work.quantize(found).export_model(str(path), overwrite=True)
    except (ValueError, RuntimeError) as error:
        raise Unsupported(f"litert: {quant.precision}, {quant.algorithm}: {str(error).splitlines()[0][:200]}") from error
    streaming.copy_sidecar(float_path, path)


def _ranges(float_path: Path, items: np.ndarray, algorithm: str, recipe) -> dict[str, dict[str, np.ndarray]]:
    """Every activation's range by tensor name, as the quantizer wants it."""
    from ai_edge_quantizer import calibrator
    from ai_edge_quantizer.utils import qsv_utils

    if streaming.sidecar(float_path) and algorithm in ranges.ALGORITHMS:
        raise Unsupported(f"litert has no algorithm {algorithm!r} for a streaming network; it has minmax")
    modes = calibrator.CalibrationMode
    # equal to the default mode and 13 to 20 times faster: minima and maxima are taken in C++, not tensor by tensor in Python
    mode = modes.CALIBRATION_PRESERVE_ALL_TENSORS if algorithm == "average" else modes.CALIBRATION_PROFILER_BASED
    update = {} if algorithm == "average" else {"qsv_update_func": qsv_utils.min_max_update}
    measure = calibrator.Calibrator(str(float_path), num_threads=1, mode=mode, **update)
    steps = streaming.sidecar(float_path)
    feeds = streaming.calibration(float_path, items) if steps else [{"args_0": item[None]} for item in items]
    measure.calibrate({"serving_default": feeds}, recipe)
    found = measure.get_model_qsvs()
    if steps:
        return streaming.join_ranges(float_path, found)
    return _clipped(float_path, items, algorithm, found) if algorithm in ranges.ALGORITHMS else found


def _clipped(float_path: Path, items: np.ndarray, algorithm: str, widest: dict) -> dict[str, dict[str, np.ndarray]]:
    """The widest ranges narrowed by a second pass, which fills a histogram for each tensor."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(float_path), num_threads=1, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    inside = {d["name"]: d["index"] for d in interpreter.get_tensor_details() if d["dtype"] == np.float32 and d["name"] in widest}
    ends = {name: (float(np.min(widest[name]["min"])), float(np.max(widest[name]["max"]))) for name in inside}
    counts = {name: np.zeros(ranges.N_BINS) for name, (low, high) in ends.items() if high > low}
    for item in items:
        interpreter.set_tensor(source, item[None])
        interpreter.invoke()
        for name in counts:
            counts[name] += np.histogram(interpreter.get_tensor(inside[name]), ranges.N_BINS, ends[name])[0]
    narrowed = dict(widest)
    for name, count in counts.items():
        low, high = ranges.choose(count, np.linspace(*ends[name], ranges.N_BINS + 1), algorithm)
        narrowed[name] = {"min": np.array([low]), "max": np.array([high])}
    return narrowed


def finish(whole: Path, path: Path, items: np.ndarray) -> dict:
    """The file that ships, without ballast, at `path`; both sizes and the operator that needs the most memory. Where the
    outputs of `items` are not equal bit by bit, the file stays whole and `extra` says so.
    """
    data = whole.read_bytes()
    path.write_bytes(tflite_file.strip(data))
    streaming.copy_sidecar(whole, path)
    equal = np.array_equal(load(whole).predict(items), load(path).predict(items))
    if not equal:
        path.write_bytes(data)
    return {"extra": {"size_unstripped_bytes": len(data), "stripped": equal, "peak_layer": tflite_file.peak_layer(data)}}


def _recipe(quant: Quant):
    """ai-edge-quantizer's recipe for a Quant. `per_layer` holds (pattern, precision): layers whose name in the file matches
    the regular expression get that precision. Raises Unsupported for what LiteRT's kernels do not have.
    """
    from ai_edge_quantizer import recipe_manager

    if quant.algorithm not in ALGORITHMS:
        raise Unsupported(f"litert has no algorithm {quant.algorithm!r}; it has {', '.join(ALGORITHMS)}")
    if quant.precision.endswith("-dynamic") and quant.granularity == "tensor":
        raise Unsupported("litert runs dynamic integers per channel only: its kernels answer at random with one scale a layer")
    if not quant.symmetric or quant.reduce_range:
        raise Unsupported("litert has only symmetric weights in their full range; it has symmetric=True, reduce_range=False")
    manager = recipe_manager.RecipeManager()
    for pattern, precision in ((".*", quant.precision), *quant.per_layer):
        _add(manager, pattern, precision, quant)
    return manager


def _add(manager, pattern: str, precision: str, quant: Quant) -> None:
    """One line of the recipe."""
    from ai_edge_quantizer import qtyping, recipe_manager

    wide = qtyping.QuantGranularity.CHANNELWISE if quant.granularity == "channel" else qtyping.QuantGranularity.TENSORWISE
    algorithm = recipe_manager.AlgorithmName(WEIGHTS.get(quant.algorithm, WEIGHTS["minmax"]))
    every = qtyping.TFLOperationName.ALL_SUPPORTED
    if precision == "fp16":
        half = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
        config = qtyping.OpQuantizationConfig(weight_tensor_config=half, explicit_dequantize=True)
        manager.add_quantization_config(pattern, every, config, recipe_manager.AlgorithmName.FLOAT_CASTING)
    elif precision == "fp32":
        manager.add_quantization_config(pattern, every, None, recipe_manager.AlgorithmName.NO_QUANTIZE)
    elif precision in ("int8-dynamic", "int4-dynamic"):
        manager.add_dynamic_config(pattern, every, int(precision[3]), wide, algorithm)
    elif precision in ("int8-weight", "int4-weight"):
        manager.add_weight_only_config(pattern, every, int(precision[3]), wide, algorithm)
    else:
        manager.add_static_config(pattern, every, 16 if precision == "int16x8" else 8, 8, wide, algorithm)
        for name in ("CONV_2D", "FULLY_CONNECTED") if precision == "int4-static" else ():
            manager.add_static_config(pattern, qtyping.TFLOperationName(name), 8, 4, wide, algorithm)


def preload() -> None:
    """Import the runtime: the memory that it takes before any file is loaded is not the file's."""
    from ai_edge_litert import interpreter  # noqa: F401


def inspect(path: Path) -> dict:
    """What is in the file and how it runs; see `litert_inspect`."""
    from edgebook.runtimes import litert_inspect

    return litert_inspect.inspect(path)


def load(path: Path, *, threads: int = 1) -> Program:
    """An interpreter with XNNPACK; integer inputs and outputs are converted by the file's own scales, outside invoke."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(str(path), num_threads=threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise BadInput(f"{path}: LiteRT cannot load it: {str(error).splitlines()[0][:200]}") from error
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    if words := streaming.sidecar(path):
        return streaming.program(
            words, inputs, outputs, lambda i, value: interpreter.set_tensor(inputs[i]["index"], value),
            interpreter.invoke, lambda i: interpreter.get_tensor(outputs[i]["index"]),
        )  # fmt: skip
    if len(inputs) != 1:
        raise BadInput(f"{path}: has {len(inputs)} inputs ({', '.join(i['name'] for i in inputs)}); one is allowed")
    source, sink = inputs[0], outputs[0]

    def put(x: np.ndarray) -> None:
        interpreter.set_tensor(source["index"], to_stored(x, source))

    return Program(
        put,
        interpreter.invoke,
        lambda: to_real(interpreter.get_tensor(sink["index"]), sink),
        tuple(source["shape"][1:]),
        batch=int(source["shape"][0]),
    )
