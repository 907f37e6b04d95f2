"""LiteRT files, run by the interpreter with XNNPACK."""

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


def preload() -> None:
    """Import the runtime."""
    from ai_edge_litert import interpreter  # noqa: F401


def load(path: Path, *, threads: int = 1, shape: tuple[int, ...] = ()) -> Program:
    """The file's program, see `_program`."""
    return _program(path, threads, "AUTO")


def plain(path: Path, *, threads: int = 1, shape: tuple[int, ...] = ()) -> Program:
    """The same by LiteRT's reference kernels, which are slow and simple."""
    return _program(path, threads, "BUILTIN_REF")


def _program(path: Path, threads: int, kernels: str) -> Program:
    """The file's program; integer inputs and outputs are converted by the file's own scales, outside `invoke`.

    kernels: a name of LiteRT's OpResolverType. Raises BadInput for a file that LiteRT does not load.
    """
    interpreter = _interpreter(path, threads, kernels)
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    if step := one_step.description(path):
        return _one_step(step, interpreter, inputs, outputs)

    def getter(sink: dict[str, Any]) -> Callable[[], np.ndarray]:
        return lambda: to_real(interpreter.get_tensor(sink["index"]), sink)

    getters = {sink["name"] or f"output {number}": getter(sink) for number, sink in enumerate(outputs)}
    if not inputs or not outputs:
        raise BadInput(f"{path}: has {len(inputs)} inputs and {len(outputs)} outputs; one of each is needed")
    for source in inputs:
        interpreter.set_tensor(source["index"], np.zeros(source["shape"], source["dtype"]))
    source, get, reason = inputs[0], getter(outputs[0]), _why_not_fed(inputs)
    batch, *item = (int(size) for size in source["shape"]) if len(source["shape"]) else (1,)
    if reason:
        return Program(nothing, interpreter.invoke, get, tuple(item), batch=batch, outputs=getters, not_scored=reason)

    def put(x: np.ndarray) -> None:
        interpreter.set_tensor(source["index"], to_stored(x, source))

    values = real_range(source)
    return Program(put, interpreter.invoke, get, tuple(item), batch=batch, outputs=getters, input_range=values)


def _one_step(step: dict[str, Any], interpreter: Any, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> Program:
    """The program of a file that is one step of a recurrent network."""

    def put(number: int, value: np.ndarray) -> None:
        interpreter.set_tensor(inputs[number]["index"], value)

    def get(number: int) -> np.ndarray:
        return interpreter.get_tensor(outputs[number]["index"])

    return one_step.program(step, inputs, outputs, put, interpreter.invoke, get)


def _interpreter(path: Path, threads: int, kernels: str) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        resolver = OpResolverType[kernels]
        interpreter = Interpreter(str(path), num_threads=threads, experimental_op_resolver_type=resolver)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise BadInput(f"{path}: LiteRT cannot load it: {one_line(error)}") from error
    return interpreter


def _why_not_fed(inputs: list[dict[str, Any]]) -> str | None:
    named = {source["name"] or f"input {number}": source["dtype"] for number, source in enumerate(inputs)}
    return why_not_fed(named, has_scale=bool(inputs[0]["quantization"][0]))
