"""ONNX files, run by ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgebook.errors import BadInput, one_line
from edgebook.runtimes import sidecar
from edgebook.runtimes.base import Program

INPUT_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8}


def preload() -> None:
    """Import the runtime."""
    import onnxruntime  # noqa: F401


def load(path: Path, *, threads: int = 1, shape: tuple[int, ...] = ()) -> Program:
    """A session with its input and output bound in place, so that the timed call copies nothing.

    shape: an item's, for a file that leaves sizes open. Raises BadInput for a file that ONNX Runtime does not load, or whose
    inputs are not one tensor of INPUT_TYPES.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own exceptions share no base class
        raise BadInput(f"{path}: ONNX Runtime cannot load it: {one_line(error)}") from error
    sizes, dtype = _input(path, session, shape)
    stored, binding = _to_stored(path, dtype), session.io_binding()
    buffer = ort.OrtValue.ortvalue_from_numpy(np.zeros(sizes, dtype))
    binding.bind_ortvalue_input(session.get_inputs()[0].name, buffer)
    binding.bind_output(session.get_outputs()[0].name)

    def put(x: np.ndarray) -> None:
        buffer.update_inplace(np.ascontiguousarray(stored(x), dtype=dtype))

    def invoke() -> None:
        session.run_with_iobinding(binding)

    return Program(put, invoke, lambda: binding.copy_outputs_to_cpu()[0], sizes[1:], batch=sizes[0])


def _input(path: Path, session, item: tuple[int, ...]) -> tuple[tuple[int, ...], type]:
    """Shape and dtype of the only input. Open sizes are taken from an item's, or are 1; an open batch is 1."""
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise BadInput(f"{path}: has {len(inputs)} inputs ({', '.join(i.name for i in inputs)}); one is allowed")
    sizes, dtype = inputs[0].shape, INPUT_TYPES.get(inputs[0].type)
    if dtype is None:
        raise BadInput(f"{path}: its input is {inputs[0].type}; allowed: {', '.join(INPUT_TYPES)}")
    defaults = (1, *item) if item and len(item) + 1 == len(sizes) else (1,) * len(sizes)
    sizes = tuple(size if isinstance(size, int) and size > 0 else other for size, other in zip(sizes, defaults, strict=True))
    if not sizes:
        raise BadInput(f"{path}: its input is a single number; allowed: a tensor whose first size is the batch")
    return sizes, dtype


def _to_stored(path: Path, dtype: type) -> Callable[[np.ndarray], np.ndarray]:
    """What turns real values into those of an integer input: ONNX keeps no scale for it, so that the sidecar must."""
    if not np.issubdtype(dtype, np.integer):
        return lambda x: x
    content = sidecar.read(path)
    if "scale" not in (content.get("input") or {}):
        raise BadInput(f"{path}: its input is {dtype.__name__}; {path.with_suffix('.json').name} beside it must give input.scale")
    scale, zero_point = sidecar.numbers(content, path, "input", "scale", "zero_point", 1.0)
    limits = np.iinfo(dtype)
    return lambda x: np.clip(np.round(np.asarray(x) / scale) + zero_point, limits.min, limits.max)
