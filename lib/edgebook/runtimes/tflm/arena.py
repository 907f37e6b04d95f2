"""Run a file once in TFLM and print the memory that it took: `python -m edgebook.runtimes.tflm.arena model.tflite`.

A program of its own, since TFLM ends the process at some errors, and writes what it needs to stderr only.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from edgebook.runtimes.tflm.load import details, interpreter_of


def main(path: Path) -> None:
    interpreter = interpreter_of(path)
    for index, detail in enumerate(details(interpreter.get_input_details)):
        interpreter.set_input(np.zeros(detail["shape"], detail["dtype"]), index)
    interpreter.invoke()
    interpreter.print_allocations()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
