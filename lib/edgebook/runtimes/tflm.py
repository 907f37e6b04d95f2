"""TensorFlow Lite for Microcontrollers on the host: its own kernels and its own memory plan, not its speed.

Files are LiteRT's; what the microcontroller's kernels refuse is said by the operator's name. The arena is planned by a
64-bit build, whose pointers are twice a microcontroller's: a board needs a little less.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from edgebook.errors import BadInput, Unsupported
from edgebook.runtimes import Program, streaming

EXTENSION = ".tflite"
LIBRARIES = ("tflite-micro", "ai-edge-litert")
PRECISIONS = ("fp32", "int8-static", "int16x8")
PARENT = "litert"
STREAMS = True
HAS_LATENCY = False  # a host's time says nothing about a board's
ARENA = 1 << 26  # bytes offered; what is used is reported


def derive(parent: Path, path: Path, name: str) -> dict:
    """LiteRT's file as it is, once TFLM has run it; the arena it took. Raises Unsupported with the operator's name.

    In a process of its own: TFLM ends the process at some errors, and it says what it needs on stderr only.
    """
    shutil.copyfile(parent, path)
    streaming.copy_sidecar(parent, path)
    asked = subprocess.run([sys.executable, "-m", "edgebook.runtimes.tflm", str(path)], capture_output=True, text=True)
    found = re.search(r"Arena allocation total (\d+) bytes", asked.stderr)
    if asked.returncode or not found:
        raise Unsupported(f"tflm: {_reason(asked.stderr)}")
    return {"arena_bytes": int(found[1])}


def _reason(words: str) -> str:
    """Which operator and why, from what TFLM prints."""
    missing = re.search(r"Didn't find op for builtin opcode '(\w+)'", words)
    if missing:
        return f"no kernel for {missing[1]}"
    failed = re.search(r"Node (\w+) \(number (\d+)\w?\) failed to (\w+)", words)
    lines = [line for line in words.splitlines() if line.strip()]
    why = next((line.split(" ", 1)[-1] for line in lines if "was not true" in line or "supported" in line), "")
    if failed:
        return f"{failed[1]} (operator {failed[2]}) cannot {failed[3]}{': ' + why if why else ''}"[:250]
    return (lines[-1] if lines else "ended without a word")[:250]


def preload() -> None:
    """Import the runtime: the memory that it takes before any file is loaded is not the file's."""
    from tflite_micro.python.tflite_micro import runtime  # noqa: F401


def load(path: Path, *, threads: int = 1) -> Program:
    """The microcontroller's interpreter; one thread, whatever is asked."""
    from tflite_micro.python.tflite_micro import runtime

    try:
        interpreter = runtime.Interpreter.from_file(str(path), arena_size=ARENA)
    except (ValueError, RuntimeError) as error:
        raise BadInput(f"{path}: TFLM cannot load it: {str(error).splitlines()[0][:200]}") from error
    words = streaming.sidecar(path)
    states = len(words["states"]) if words else 0
    inputs = [_detail(interpreter.get_input_details(i)) for i in range(1 + states)]
    outputs = [_detail(interpreter.get_output_details(i)) for i in range(1 + states)]

    def set_input(index: int, value: np.ndarray) -> None:
        interpreter.set_input(value, index)

    if words:
        return streaming.program(words, inputs, outputs, set_input, interpreter.invoke, interpreter.get_output)
    return Program(
        lambda x: set_input(0, streaming.to_stored(x, inputs[0])),
        interpreter.invoke,
        lambda: streaming.to_real(interpreter.get_output(0), outputs[0]),
        tuple(int(size) for size in inputs[0]["shape"][1:]),
    )


def _detail(found: dict) -> dict:
    """A tensor's detail in LiteRT's words."""
    numbers = found["quantization_parameters"]
    one = (float(numbers["scales"][0]), int(numbers["zero_points"][0])) if len(numbers["scales"]) else (0.0, 0)
    return {"shape": found["shape"], "dtype": found["dtype"], "quantization": one}


def _try(path: Path) -> None:
    """Run the file once and print what it took: this module's command line."""
    from tflite_micro.python.tflite_micro import runtime

    interpreter = runtime.Interpreter.from_file(str(path), arena_size=ARENA)
    words = streaming.sidecar(path)
    for i in range(1 + (len(words["states"]) if words else 0)):
        detail = interpreter.get_input_details(i)
        interpreter.set_input(np.zeros(detail["shape"], detail["dtype"]), i)
    interpreter.invoke()
    interpreter.print_allocations()
    print(json.dumps({"ok": True}))


if __name__ == "__main__":
    _try(Path(sys.argv[1]))
