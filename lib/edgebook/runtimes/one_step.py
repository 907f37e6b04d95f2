"""Files that hold one step of a recurrent network: the caller carries the state from call to call.

Unrolled over its steps a GRU is a large graph that microcontrollers refuse; a single step with the state as input and output
is small and runs everywhere. A sidecar `model.json` beside the file maps the state's inputs to its outputs.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgebook.runtimes import sidecar
from edgebook.runtimes.base import Program
from edgebook.runtimes.integers import to_real, to_stored


def description(path: Path) -> dict[str, Any] | None:
    """{"input_shape", "steps", "x": input, "y": output, "states": [{"name", "input", "output"}]}, inputs and outputs by their
    position in the file; None for a file that takes a whole item per call.
    """
    content = sidecar.read(path)
    return content if "steps" in content else None


def copy_description(source: Path, target: Path) -> None:
    """A file made from a one-step file is one too."""
    if description(source):
        shutil.copyfile(Path(source).with_suffix(".json"), Path(target).with_suffix(".json"))


def to_steps(x: np.ndarray) -> np.ndarray:
    """(T, N, features) of a sequence (N, C, T), or of an image (N, C, H, W) read row by row."""
    rows = x.transpose(2, 0, 1) if x.ndim == 3 else x.transpose(2, 0, 1, 3).reshape(x.shape[2], len(x), -1)
    return np.ascontiguousarray(rows, dtype=np.float32)


def program(
    step: dict[str, Any],
    inputs: list[dict[str, Any]],
    outputs: list[dict[str, Any]],
    set_input: Callable[[int, np.ndarray], None],
    invoke: Callable[[], Any],
    get_output: Callable[[int], np.ndarray],
) -> Program:
    """A Program over whole items: its `put` runs all steps but the last from a zero state, its `invoke` the last, so that what is
    timed is the runtime's own call. `step` is the `description`, `inputs` and `outputs` the details of the file's tensors; a
    state whose two scales differ is requantized between steps.
    """
    states = [(inputs[state["input"]], outputs[state["output"]]) for state in step["states"]]
    zeros = [to_stored(np.zeros(source["shape"], np.float32), source) for source, _ in states]
    feeds_back = [source["quantization"] == sink["quantization"] for source, sink in states]

    def given_back() -> list[np.ndarray]:
        values = [get_output(state["output"]) for state in step["states"]]
        return [
            value if same_scale else to_stored(to_real(value, sink), source)
            for value, same_scale, (source, sink) in zip(values, feeds_back, states, strict=True)
        ]

    def put(x: np.ndarray) -> None:
        values = zeros
        for number, part in enumerate(to_steps(x)):
            if number:
                invoke()
                values = given_back()
            set_input(step["x"], to_stored(part, inputs[step["x"]]))
            for state, value in zip(step["states"], values, strict=True):
                set_input(state["input"], value)

    def get() -> np.ndarray:
        return to_real(get_output(step["y"]), outputs[step["y"]])

    return Program(put, invoke, get, tuple(step["input_shape"]), calls=step["steps"])
