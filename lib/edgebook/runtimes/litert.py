"""LiteRT (TensorFlow Lite's successor): float files from litert-torch, integer files from ai-edge-quantizer."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgebook.errors import BadInput, Unsupported
from edgebook.runtimes import Program, Quant, streaming, tflite_file
from edgebook.runtimes.streaming import to_real, to_stored

EXTENSION = ".tflite"
LIBRARIES = ("ai-edge-litert", "litert-torch", "ai-edge-quantizer", "torch")
PRECISIONS = ("fp32", "fp16", "int8-dynamic", "int8-static", "int16x8")
STREAMS = True  # takes a recurrent network one step at a time


def convert(model, x, path: Path) -> None:
    """The float file; of a streaming network, its one step."""
    import litert_torch

    if hasattr(model, "step"):
        return streaming.convert(model, x, path)

    litert_torch.convert(model, (x,)).export(str(path))


def quantize(float_path: Path, path: Path, quant: Quant, items: np.ndarray) -> None:
    """The same graph with other numbers. Ranges are true minima and maxima over the items: the quantizer's default
    averages them over items, which clips recurrent states to death.
    """
    from ai_edge_quantizer import calibrator, quantizer
    from ai_edge_quantizer.utils import qsv_utils

    recipe, ranges = _recipe(quant), None
    work = quantizer.Quantizer(str(float_path), recipe.get_quantization_recipe())
    if work.need_calibration:
        measure = calibrator.Calibrator(str(float_path), num_threads=1, qsv_update_func=qsv_utils.min_max_update)
        steps = streaming.sidecar(float_path)
        feeds = streaming.calibration(float_path, items) if steps else [{"args_0": item[None]} for item in items]
        measure.calibrate({"serving_default": feeds}, recipe)
        ranges = measure.get_model_qsvs()
        ranges = streaming.join_ranges(float_path, ranges) if steps else ranges
    work.quantize(ranges).export_model(str(path), overwrite=True)
    streaming.copy_sidecar(float_path, path)


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
    """ai-edge-quantizer's recipe for a Quant. `algorithm` chooses the ranges of the weights; activations are min-max."""
    from ai_edge_quantizer import qtyping, recipe_manager

    if quant.precision == "int8-dynamic" and quant.granularity == "tensor":
        raise Unsupported("litert runs int8-dynamic per channel only: its kernels answer at random with one scale a layer")
    algorithms = {"minmax": "min_max_uniform_quantize", "mse": "MSE", "octav": "OCTAV"}
    if quant.algorithm not in algorithms:
        raise Unsupported(f"litert has no algorithm {quant.algorithm!r}; it has {', '.join(algorithms)}")
    wide = qtyping.QuantGranularity.CHANNELWISE if quant.granularity == "channel" else qtyping.QuantGranularity.TENSORWISE
    manager, every = recipe_manager.RecipeManager(), qtyping.TFLOperationName.ALL_SUPPORTED
    algorithm = recipe_manager.AlgorithmName(algorithms[quant.algorithm])
    if quant.precision == "fp16":
        half = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
        config = qtyping.OpQuantizationConfig(weight_tensor_config=half, explicit_dequantize=True)
        manager.add_quantization_config(".*", every, config, recipe_manager.AlgorithmName.FLOAT_CASTING)
    elif quant.precision == "int8-dynamic":
        manager.add_dynamic_config(".*", every, 8, wide, algorithm)
    else:
        bits = 16 if quant.precision == "int16x8" else 8
        manager.add_static_config(".*", every, bits, 8, wide, algorithm)
    return manager


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
    )
