"""LiteRT files run by the microcontrollers' interpreter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgebook.errors import BadInput, one_line
from edgebook.runtimes import one_step
from edgebook.runtimes.base import Program
from edgebook.runtimes.feeding import nothing, why_not_fed
from edgebook.runtimes.integers import real_range, to_real, to_stored
from edgebook.runtimes.litert import load as litert

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
    inputs, outputs = details(interpreter.get_input_details), details(interpreter.get_output_details)

    def set_input(index: int, value: np.ndarray) -> None:
        interpreter.set_input(value, index)

    if step:
        return one_step.program(step, inputs, outputs, set_input, interpreter.invoke, interpreter.get_output)

    def getter(index: int) -> Callable[[], np.ndarray]:
        return lambda: to_real(interpreter.get_output(index), outputs[index])

    if not inputs or not outputs:
        raise BadInput(f"{path}: has {len(inputs)} inputs and {len(outputs)} outputs; one of each is needed")
    batch, *item = (int(size) for size in inputs[0]["shape"]) if len(inputs[0]["shape"]) else (1,)
    named = {f"input {number}": detail["dtype"] for number, detail in enumerate(inputs)}
    if reason := why_not_fed(named, has_scale=bool(inputs[0]["quantization"][0])):
        for index, detail in enumerate(inputs):
            interpreter.set_input(np.zeros(detail["shape"], detail["dtype"]), index)
        return Program(nothing, interpreter.invoke, getter(0), tuple(item), batch=batch, not_scored=reason)
    return Program(
        lambda x: set_input(0, to_stored(x, inputs[0])),
        interpreter.invoke,
        getter(0),
        tuple(item),
        batch=batch,
        outputs={f"output {index}": getter(index) for index in range(len(outputs))},
        input_range=real_range(inputs[0]),
    )


def plain(path: Path, *, threads: int = 1, shape: tuple[int, ...] = ()) -> Program:
    """The file by LiteRT's reference kernels, which TFLM's were made from."""
    return litert.plain(path, threads=threads, shape=shape)


def details(detail_of: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
    """The details of all inputs, or of all outputs; the interpreter does not tell how many there are."""
    details = []
    while True:
        try:
            details.append(_detail(detail_of(len(details))))
        except (IndexError, RuntimeError, ValueError):
            return details


def _detail(tensor: dict[str, Any]) -> dict[str, Any]:
    """A tensor's detail with LiteRT's keys."""
    numbers = tensor["quantization_parameters"]
    has_scale = len(numbers["scales"]) > 0
    quantization = (float(numbers["scales"][0]), int(numbers["zero_points"][0])) if has_scale else (0.0, 0)
    return {"shape": tensor["shape"], "dtype": tensor["dtype"], "quantization": quantization}
