"""LiteRT files run by the microcontrollers' interpreter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgebook.errors import BadInput, one_line
from edgebook.runtimes import one_step
from edgebook.runtimes.base import Program
from edgebook.runtimes.integers import to_real, to_stored

ARENA_BYTES = 1 << 26  # offered; what is used is reported


def preload() -> None:
    """Import the runtime."""
    from tflite_micro.python.tflite_micro import runtime  # noqa: F401


def interpreter_of(path: Path):
    """TFLM's interpreter of a file. Raises BadInput for a file that it does not load."""
    from tflite_micro.python.tflite_micro import runtime

    try:
        return runtime.Interpreter.from_file(str(path), arena_size=ARENA_BYTES)
    except (ValueError, RuntimeError) as error:
        raise BadInput(f"{path}: TFLM cannot load it: {one_line(error)}") from error


def load(path: Path, *, threads: int = 1, shape: tuple[int, ...] = ()) -> Program:
    """The file's program, on one thread whatever `threads` is."""
    interpreter, step = interpreter_of(path), one_step.description(path)
    n_states = len(step["states"]) if step else 0
    inputs = [_detail(interpreter.get_input_details(i)) for i in range(1 + n_states)]
    outputs = [_detail(interpreter.get_output_details(i)) for i in range(1 + n_states)]

    def set_input(index: int, value: np.ndarray) -> None:
        interpreter.set_input(value, index)

    if step:
        return one_step.program(step, inputs, outputs, set_input, interpreter.invoke, interpreter.get_output)
    batch, *item = (int(size) for size in inputs[0]["shape"])
    return Program(
        lambda x: set_input(0, to_stored(x, inputs[0])),
        interpreter.invoke,
        lambda: to_real(interpreter.get_output(0), outputs[0]),
        tuple(item),
        batch=batch,
    )


def _detail(tensor: dict[str, Any]) -> dict[str, Any]:
    """A tensor's detail with LiteRT's keys."""
    numbers = tensor["quantization_parameters"]
    has_scale = len(numbers["scales"]) > 0
    quantization = (float(numbers["scales"][0]), int(numbers["zero_points"][0])) if has_scale else (0.0, 0)
    return {"shape": tensor["shape"], "dtype": tensor["dtype"], "quantization": quantization}
