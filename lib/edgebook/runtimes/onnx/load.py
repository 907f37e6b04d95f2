"""ONNX files, run by ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgebook.errors import BadInput, one_line
from edgebook.runtimes import sidecar
from edgebook.runtimes.base import Program
from edgebook.runtimes.feeding import nothing, why_not_fed
from edgebook.runtimes.integers import real_range, to_stored

NAMES = {"float": "float32", "double": "float64"}  # ONNX's names of types, where numpy has another


def preload() -> None:
    """Import the runtime."""
    import onnxruntime  # noqa: F401


def load(path: Path, *, threads: int = 1, shape: tuple[int, ...] = ()) -> Program:
    """The program of the optimized graph, see `_program`."""
    return _program(path, threads, shape, optimized=True)


def plain(path: Path, *, threads: int = 1, shape: tuple[int, ...] = ()) -> Program:
    """The same with every node computed as the file has it: integers are turned into floats and back around each of them."""
    return _program(path, threads, shape, optimized=False)


def _program(path: Path, threads: int, shape: tuple[int, ...], *, optimized: bool) -> Program:
    """A session with its input and outputs bound in place, so that the timed call copies nothing.

    shape: an item's, for a file that leaves sizes open. Raises BadInput for a file that ONNX Runtime does not load, or whose
    inputs are no tensors of numbers.
    """
    from onnxruntime import OrtValue

    session = _session(path, threads, optimized=optimized)
    binding, names = session.io_binding(), [output.name for output in session.get_outputs()]
    zeros = {source.name: zeros_of(path, source, shape) for source in session.get_inputs()}
    if not zeros:
        raise BadInput(f"{path}: has no input; allowed: one or more")
    buffers = {name: OrtValue.ortvalue_from_numpy(value) for name, value in zeros.items()}
    for name, buffer in buffers.items():
        binding.bind_ortvalue_input(name, buffer)
    for name in names:
        binding.bind_output(name)

    def invoke() -> None:
        session.run_with_iobinding(binding)

    def getter(index: int) -> Callable[[], np.ndarray]:
        return lambda: binding.copy_outputs_to_cpu()[index]

    getters = {name: getter(index) for index, name in enumerate(names)}
    first = next(iter(zeros.values()))
    batch, item, dtype = (first.shape[0] if first.ndim else 1), first.shape[1:], first.dtype
    if reason := _why_not_fed(path, zeros):
        return Program(nothing, invoke, getter(0), item, batch=batch, outputs=getters, not_scored=reason)
    stored, values = _to_stored(path, dtype)

    def put(x: np.ndarray) -> None:
        next(iter(buffers.values())).update_inplace(np.ascontiguousarray(stored(x), dtype=dtype))

    return Program(put, invoke, getter(0), item, batch=batch, outputs=getters, input_range=values)


def _session(path: Path, threads: int, *, optimized: bool) -> Any:
    """ONNX Runtime's session of a file. Raises BadInput for one that it does not load."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    if not optimized:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own exceptions share no base class
        raise BadInput(f"{path}: ONNX Runtime cannot load it: {one_line(error)}") from error


def _why_not_fed(path: Path, zeros: dict[str, np.ndarray]) -> str | None:
    given = sidecar.read(path).get("input")
    has_scale = isinstance(given, dict) and "scale" in given
    hint = f"; {path.with_suffix('.json').name} beside it can give input.scale"
    return why_not_fed({name: value.dtype for name, value in zeros.items()}, has_scale=has_scale, hint=hint)


def zeros_of(path: Path, source: Any, item: tuple[int, ...] = ()) -> np.ndarray:
    """Zeros of an input's shape and type. Open sizes are taken from an item's, or are 1; an open batch is 1.

    Raises BadInput for an input that is no tensor of numbers.
    """
    kind = source.type.removeprefix("tensor(").removesuffix(")")
    try:
        dtype = np.dtype(NAMES.get(kind, kind))
    except TypeError:
        raise BadInput(f"{path}: its input {source.name} is {source.type}; allowed: tensors of numbers") from None
    defaults = (1, *item) if item and len(item) + 1 == len(source.shape) else (1,) * len(source.shape)
    sizes = [size if isinstance(size, int) and size > 0 else other for size, other in zip(source.shape, defaults, strict=True)]
    return np.zeros(sizes, dtype)


def _to_stored(path: Path, dtype: np.dtype) -> tuple[Callable[[np.ndarray], np.ndarray], tuple[float, float] | None]:
    """What turns real values into those of an integer input, and the range that it holds: ONNX keeps no scale for it, so that
    the sidecar does.
    """
    if not np.issubdtype(dtype, np.integer):
        return lambda x: x, None
    content = sidecar.read(path)
    scale, zero_point = sidecar.numbers(content, path, "input", "scale", "zero_point", 1.0)
    if not scale:
        raise BadInput(f"{path.with_suffix('.json')}: input.scale = 0; allowed: any other number")
    detail = {"dtype": dtype, "quantization": (scale, int(zero_point))}
    return lambda x: to_stored(np.asarray(x), detail), real_range(detail)
