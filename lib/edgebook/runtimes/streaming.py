"""Recurrent networks one step at a time: the file holds one step, the caller carries the state from call to call.

Unrolled over its steps a GRU is a large graph that microcontrollers refuse; a single step with the state as input and
output is small and runs everywhere. A sidecar `model.json` beside the file says which input and output are which.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgebook.runtimes import Program


def sidecar(path: Path) -> dict | None:
    """What the file beside says: {"input_shape", "steps", "x": input, "y": output, "states": [{"input", "output"}]}, by
    position in the file's own inputs and outputs; None for a file that takes a whole item in one call.
    """
    beside = Path(path).with_suffix(".json")
    words = json.loads(beside.read_text()) if beside.exists() else {}
    return words if "steps" in words else None


def convert(model, x, path: Path) -> None:
    """The float file of `model.step`, and its sidecar. `x` is one whole item (1, ...)."""
    import litert_torch
    import torch

    steps = to_steps(x.numpy())
    states = model.step.zero_states(1)
    litert_torch.convert(model.step, (torch.from_numpy(steps[0]), *states)).export(str(path))
    inputs, outputs = _signature(path)
    words = {"input_shape": list(x.shape[1:]), "steps": len(steps), "x": inputs.index("args_0"), "y": outputs.index("output_0")}
    words["states"] = [
        {"name": name, "input": inputs.index(f"args_{i}"), "output": outputs.index(f"output_{i}")}
        for i, name in enumerate(model.step.state_names, 1)
    ]
    path.with_suffix(".json").write_text(json.dumps(words))


def to_steps(x: np.ndarray) -> np.ndarray:
    """(T, N, features) of a sequence (N, C, T), or of an image (N, C, H, W) read row by row."""
    rows = x.transpose(2, 0, 1) if x.ndim == 3 else x.transpose(2, 0, 1, 3).reshape(x.shape[2], len(x), -1)
    return np.ascontiguousarray(rows, dtype=np.float32)


def _interpreter(path: Path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    return interpreter


def _signature(path: Path) -> tuple[list[str], list[str]]:
    """The signature's names in the order of the file's inputs and outputs (a signature runner would break invoke)."""
    interpreter = _interpreter(path)
    runner = _interpreter(path).get_signature_runner()
    place_in = {detail["index"]: name for name, detail in runner.get_input_details().items()}
    place_out = {detail["index"]: name for name, detail in runner.get_output_details().items()}
    inputs = [place_in[detail["index"]] for detail in interpreter.get_input_details()]
    return inputs, [place_out[detail["index"]] for detail in interpreter.get_output_details()]


def calibration(float_path: Path, items: np.ndarray) -> list[dict[str, np.ndarray]]:
    """The inputs of every step of every item, with the states that really occur: zeros would calibrate to 9 % accuracy."""
    words, interpreter = sidecar(float_path), _interpreter(float_path)
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    feeds = []
    for item in items:
        states = [np.zeros(inputs[state["input"]]["shape"], np.float32) for state in words["states"]]
        for step in to_steps(item[None]):
            feeds.append({"args_0": step, **{f"args_{i}": state for i, state in enumerate(states, 1)}})
            interpreter.set_tensor(inputs[words["x"]]["index"], step)
            for state, value in zip(words["states"], states, strict=True):
                interpreter.set_tensor(inputs[state["input"]]["index"], value)
            interpreter.invoke()
            states = [interpreter.get_tensor(outputs[state["output"]]["index"]) for state in words["states"]]
    return feeds


def join_ranges(float_path: Path, ranges: dict[str, dict]) -> dict[str, dict]:
    """The ranges with every state's input and output at the union of the two: its integers then mean the same on both
    sides, and feed back as they are.
    """
    words, interpreter = sidecar(float_path), _interpreter(float_path)
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    for state in words["states"]:
        pair = [inputs[state["input"]]["name"], outputs[state["output"]]["name"]]
        union = {
            "min": np.minimum(*(ranges[name]["min"] for name in pair)),
            "max": np.maximum(*(ranges[name]["max"] for name in pair)),
        }
        for name in pair:
            ranges[name] = {**ranges[name], **union}
    return ranges


def copy_sidecar(source: Path, target: Path) -> None:
    """A file made from a one-step file is one too."""
    if sidecar(source):
        shutil.copyfile(Path(source).with_suffix(".json"), Path(target).with_suffix(".json"))


def program(
    words: dict, inputs: list[dict], outputs: list[dict], set_input: Callable[[int, np.ndarray], None],
    invoke: Callable, get_output: Callable[[int], np.ndarray],
) -> Program:  # fmt: skip
    """A Program over whole items: `invoke` runs all steps, from a zero state. `inputs` and `outputs` are the details of
    the tensors ("dtype", "quantization": (scale, zero_point)); a state whose scales differ is requantized between steps.
    """
    slot = {}
    zeros = [to_stored(np.zeros(inputs[s["input"]]["shape"], np.float32), inputs[s["input"]]) for s in words["states"]]
    same = [inputs[s["input"]]["quantization"] == outputs[s["output"]]["quantization"] for s in words["states"]]

    def put(x: np.ndarray) -> None:
        slot["steps"] = [to_stored(step, inputs[words["x"]]) for step in to_steps(x)]

    def run() -> None:
        values = zeros
        for step in slot["steps"]:
            set_input(words["x"], step)
            for state, value in zip(words["states"], values, strict=True):
                set_input(state["input"], value)
            invoke()
            values = [get_output(state["output"]) for state in words["states"]]
            if not all(same):
                values = [
                    value if plain else to_stored(to_real(value, outputs[s["output"]]), inputs[s["input"]])
                    for value, plain, s in zip(values, same, words["states"], strict=True)
                ]

    return Program(put, run, lambda: to_real(get_output(words["y"]), outputs[words["y"]]), tuple(words["input_shape"]))


def to_stored(x: np.ndarray, detail: dict) -> np.ndarray:
    """Real values in a tensor's own dtype: round(x / scale) + zero_point, clipped."""
    scale, zero_point = detail["quantization"]
    if not np.issubdtype(detail["dtype"], np.integer):
        return x.astype(detail["dtype"])
    limits = np.iinfo(detail["dtype"])
    return np.clip(np.round(x / scale) + zero_point, limits.min, limits.max).astype(detail["dtype"])


def to_real(q: np.ndarray, detail: dict) -> np.ndarray:
    """(q - zero_point) * scale, for integer tensors."""
    scale, zero_point = detail["quantization"]
    return (q.astype(np.float32) - zero_point) * scale if np.issubdtype(q.dtype, np.integer) else q
