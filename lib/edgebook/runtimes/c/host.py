"""The generated C on this machine: compiled by `cc`, called through ctypes. For scores; its time means nothing."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgebook.errors import BadInput, Unsupported
from edgebook.runtimes.c.generate import write
from edgebook.runtimes.c.graph import read
from edgebook.runtimes.c.lower import lower

WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror")


@dataclass(frozen=True)
class Compiled:
    """A compiled network: `run` takes int8 inputs (n, size) and gives int8 outputs (n, size), from a zero state on."""

    run: Callable[[np.ndarray], np.ndarray]
    n_input: int
    n_output: int
    input: tuple[float, int]  # scale, zero point
    output: tuple[float, int]


def missing() -> str | None:
    """Why nothing can be compiled here, or None."""
    return None if shutil.which("cc") else "no C compiler: cc is not on the path"


def compile_source(source: str, folder: Path, *, flags: tuple[str, ...] = ("-O2",)) -> Path:
    """A shared library made of generated C. Raises BadInput with the compiler's first error."""
    if reason := missing():
        raise Unsupported(f"c: {reason}")
    file, library = folder / "model.c", folder / "model.so"
    file.write_text(source)
    made = subprocess.run(
        ["cc", *WARNINGS, *flags, "-shared", "-fPIC", str(file), "-o", str(library)], capture_output=True, text=True
    )
    if made.returncode:
        lines = [line for line in made.stderr.splitlines() if "error" in line] or made.stderr.splitlines() or ["no message"]
        raise BadInput(f"{file}: cc cannot compile it: {lines[0][:200]}")
    return library


def load(path: Path, *, profile: str = "single", flags: tuple[str, ...] = ("-O2",)) -> Compiled:
    """The network of a static int8 .tflite, compiled here. Steps of a recurrent network are items: the state is carried over."""
    network = lower(read(path))
    with tempfile.TemporaryDirectory(prefix="edgebook-c-") as folder:
        library = ctypes.CDLL(str(compile_source(write(network, profile=profile), Path(folder), flags=flags)))

    def run(items: np.ndarray) -> np.ndarray:
        items = np.ascontiguousarray(items, np.int8).reshape(-1, network.n_input)
        outputs = np.empty((len(items), network.n_output), np.int8)
        state = np.asarray(network.state_start, np.int8)
        more = [_pointer(state)] if network.n_state else []
        for item, output in zip(items, outputs, strict=True):
            library.predict(_pointer(item), _pointer(output), *more)
        return outputs

    return Compiled(run, network.n_input, network.n_output, network.input, network.output)


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)
