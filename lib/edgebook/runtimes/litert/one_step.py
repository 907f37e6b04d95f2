"""One-step files in LiteRT's format: made, calibrated with states that really occur, with state ranges that feed back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from edgebook.runtimes.one_step import description, to_steps

Ranges = dict[str, dict[str, Any]]


def convert(model, example, path: Path) -> None:
    """The float file of a Streaming network's `step`, and its sidecar. `example` is one whole item (1, ...)."""
    import litert_torch
    import torch

    steps, step = to_steps(example.numpy()), model.step
    litert_torch.convert(step, (torch.from_numpy(steps[0]), *step.zero_states(1))).export(str(path))
    inputs, outputs = _signature(path)
    content: dict[str, Any] = {"input_shape": list(example.shape[1:]), "steps": len(steps)}
    content |= {"x": inputs.index("args_0"), "y": outputs.index("output_0")}
    content["states"] = [
        {"name": name, "input": inputs.index(f"args_{i}"), "output": outputs.index(f"output_{i}")}
        for i, name in enumerate(step.state_names, 1)
    ]
    path.with_suffix(".json").write_text(json.dumps(content))


def calibration_feeds(float_path: Path, items: np.ndarray) -> list[dict[str, np.ndarray]]:
    """The inputs of every step of every item, with the states that really occur: zeros would calibrate to 9 % accuracy."""
    step, interpreter = description(float_path), _interpreter(float_path)
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    feeds = []
    for item in items:
        states = [np.zeros(inputs[state["input"]]["shape"], np.float32) for state in step["states"]]
        for part in to_steps(item[None]):
            feeds.append({"args_0": part, **{f"args_{i}": state for i, state in enumerate(states, 1)}})
            interpreter.set_tensor(inputs[step["x"]]["index"], part)
            for state, value in zip(step["states"], states, strict=True):
                interpreter.set_tensor(inputs[state["input"]]["index"], value)
            interpreter.invoke()
            states = [interpreter.get_tensor(outputs[state["output"]]["index"]) for state in step["states"]]
    return feeds


def join_ranges(float_path: Path, ranges: Ranges) -> Ranges:
    """The ranges, each state's input and output with the union of the two: its integers then mean the same on both sides, and
    feed back as they are.
    """
    interpreter, joined = _interpreter(float_path), dict(ranges)
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    for state in description(float_path)["states"]:
        pair = [inputs[state["input"]]["name"], outputs[state["output"]]["name"]]
        low, high = (joined[name]["min"] for name in pair), (joined[name]["max"] for name in pair)
        union = {"min": np.minimum(*low), "max": np.maximum(*high)}
        joined |= {name: {**joined[name], **union} for name in pair}
    return joined


def _interpreter(path: Path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    return interpreter


def _signature(path: Path) -> tuple[list[str], list[str]]:
    """The signature's names in the order of the file's inputs and outputs (a signature runner would break invoke)."""
    interpreter = _interpreter(path)
    runner = _interpreter(path).get_signature_runner()
    input_names = {detail["index"]: name for name, detail in runner.get_input_details().items()}
    output_names = {detail["index"]: name for name, detail in runner.get_output_details().items()}
    inputs = [input_names[detail["index"]] for detail in interpreter.get_input_details()]
    return inputs, [output_names[detail["index"]] for detail in interpreter.get_output_details()]
