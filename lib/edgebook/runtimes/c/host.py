"""Generated C on this machine: compiled by `cc`, called through ctypes. For scores; its time means nothing."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from edgebook.errors import BadInput, Unsupported
from edgebook.files import scratch
from edgebook.runtimes.c.ends import Ends, parse

WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror")


@dataclass(frozen=True)
class Compiled:
    """A compiled network: `run` takes int8 inputs (n, size) and gives int8 outputs (n, size), from a zero state on."""

    run: Callable[[np.ndarray], np.ndarray]
    ends: Ends


def missing() -> str | None:
    """Why nothing can be compiled here, or None."""
    return None if shutil.which("cc") else "no C compiler: cc is not on the path"


def compile_library(source: str, folder: Path, *, flags: tuple[str, ...] = ("-O2",)) -> Path:
    """A shared library made of generated C. Raises Unsupported without a compiler, BadInput with its first error."""
    if reason := missing():
        raise Unsupported(f"c: {reason}", code="library")
    file, library = folder / "model.c", folder / "model.so"
    file.write_text(source, encoding="utf-8")
    command = ["cc", *WARNINGS, *flags, "-shared", "-fPIC", str(file), "-o", str(library)]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode:
        lines = [line for line in made.stderr.splitlines() if "error" in line] or made.stderr.splitlines() or ["no message"]
        raise BadInput(f"{file}: cc cannot compile it: {lines[0][:200]}")
    return library


@lru_cache(maxsize=4)  # one file is run for its scores and then on every core
def compiled(source: str, *, flags: tuple[str, ...] = ("-O2",)) -> Compiled:
    """The network of a generated C file, compiled here. Steps of a recurrent network are items: the state is carried over."""
    ends = parse(source)
    with scratch() as folder:
        library = ctypes.CDLL(str(compile_library(source, folder, flags=flags)))

    def run(items: np.ndarray) -> np.ndarray:
        items = np.ascontiguousarray(items, np.int8).reshape(-1, ends.n_input)
        outputs, state = np.empty((len(items), ends.n_output), np.int8), np.empty(ends.n_state, np.int8)
        more = [_pointer(state)] if ends.n_state else []
        if more:
            library.reset(*more)
        for item, output in zip(items, outputs, strict=True):
            library.predict(_pointer(item), _pointer(output), *more)
        return outputs

    return Compiled(run, ends)


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)
