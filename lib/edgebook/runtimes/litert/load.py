"""LiteRT files, run by the interpreter with XNNPACK."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgebook.errors import BadInput, one_line
from edgebook.runtimes import one_step
from edgebook.runtimes.base import Program
from edgebook.runtimes.integers import to_real, to_stored


def preload() -> None:
    """Import the runtime."""
    from ai_edge_litert import interpreter  # noqa: F401


def load(path: Path, *, threads: int = 1, shape: tuple[int, ...] = ()) -> Program:
    """The file's program; integer inputs and outputs are converted by the file's own scales, outside `invoke`.

    Raises BadInput for a file that LiteRT does not load, or one of several inputs.
    """
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(str(path), num_threads=threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise BadInput(f"{path}: LiteRT cannot load it: {one_line(error)}") from error
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    if step := one_step.description(path):
        return one_step.program(
            step,
            inputs,
            outputs,
            lambda i, value: interpreter.set_tensor(inputs[i]["index"], value),
            interpreter.invoke,
            lambda i: interpreter.get_tensor(outputs[i]["index"]),
        )
    if len(inputs) != 1:
        raise BadInput(f"{path}: has {len(inputs)} inputs ({', '.join(i['name'] for i in inputs)}); one is allowed")
    source, sink = inputs[0], outputs[0]

    def put(x: np.ndarray) -> None:
        interpreter.set_tensor(source["index"], to_stored(x, source))

    def get() -> np.ndarray:
        return to_real(interpreter.get_tensor(sink["index"]), sink)

    batch, *item = (int(size) for size in source["shape"])
    return Program(put, interpreter.invoke, get, tuple(item), batch=batch)
