"""Run a file once in TFLM and print the memory that it took: `python -m edgebook.runtimes.tflm.arena model.tflite`.

A program of its own, since TFLM ends the process at some errors, and writes what it needs to stderr only.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from edgebook.runtimes import one_step
from edgebook.runtimes.tflm.load import interpreter_of


def main(path: Path) -> None:
    interpreter, step = interpreter_of(path), one_step.description(path)
    for index in range(1 + (len(step["states"]) if step else 0)):
        detail = interpreter.get_input_details(index)
        interpreter.set_input(np.zeros(detail["shape"], detail["dtype"]), index)
    interpreter.invoke()
    interpreter.print_allocations()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
