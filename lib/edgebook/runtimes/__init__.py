"""Model -> file -> predict: one module a runtime, named in RUNTIMES.

A runtime module has `EXTENSION`, `LIBRARIES`, `PRECISIONS`, `convert(model, x, path)` (the float file),
`quantize(float_path, path, quant, items)` (other precisions, from the float file), `preload()` and
`load(path, threads=) -> Program`; optionally `inspect(path) -> dict` and `arena_bytes(path) -> int`.
Other makes: `quantize_model(model, path, quant, items)` where a file cannot be quantized; `PARENT`, a runtime whose
files it takes, with `derive(parent_path, path, name)`, and `source(path)` where that runtime's file gives the answers;
`finish(whole_path, path, items)` makes the file that ships from the one that integer files derive from. What these return
(a row's columns) goes into the row. `HAS_LATENCY = False`: its time here means nothing; `STREAMS = True`: it takes a
recurrent network one step at a time; `BATCHES = True`: its float files can take several items a call; `OPEN_SHAPES =
True`: a file may leave sizes open, and `load` takes an item's `shape`.
Loading imports numpy and the one runtime only: that side runs on a board as it is.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from edgebook.errors import BadInput, Unsupported, pick

RUNTIMES = {
    "onnx": "edgebook.runtimes.onnx",
    "litert": "edgebook.runtimes.litert",
    "packed": "edgebook.runtimes.packed",
    "torch": "edgebook.runtimes.torch",
    "executorch": "edgebook.runtimes.executorch",
    "tflm": "edgebook.runtimes.tflm",
    "vela": "edgebook.runtimes.vela",
    "vela-u65": "edgebook.runtimes.vela",
    "vela-u85": "edgebook.runtimes.vela",
}


@dataclass(frozen=True)
class Quant:
    """How a file's numbers are made: what a runtime's `quantize` gets. Ranges come from training items only."""

    precision: str = "int8-static"
    granularity: str = "channel"  # or tensor: one scale a layer
    symmetric: bool = True  # of the weights
    algorithm: str = "minmax"
    n_calibration: int = 256
    seed: int = 0
    reduce_range: bool = False
    per_layer: tuple[tuple[str, str], ...] = ()
    ranges: tuple | None = None


@dataclass(frozen=True)
class Artifact:
    """A file that ships."""

    path: Path
    runtime: str
    precision: str
    facts: dict = field(default_factory=dict, compare=False)  # a row's columns that were known when it was made

    @property
    def files(self) -> list[Path]:
        """The file and all that it needs to run: weights beside it (`x.onnx.data`), a sidecar (`x.json`)."""
        beside = [self.path.with_name(self.path.name + ".data"), self.path.with_suffix(".json")]
        return [self.path, *(file for file in beside if file.exists())]

    @property
    def size_bytes(self) -> int:
        return sum(file.stat().st_size for file in self.files)


@dataclass(frozen=True)
class Program:
    """A loaded file: `put` an input (1, ...) in place, `invoke` (the runtime's own call, what is timed), `get` (1, n)."""

    put: Callable[[np.ndarray], None]
    invoke: Callable[[], Any]
    get: Callable[[], np.ndarray]
    input_shape: tuple[int, ...]  # of one item
    any_batch: bool = False  # `put` takes as many items as there are
    batch: int = 1  # items of one call, where it takes just so many

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Float outputs (n, n_outputs) for float inputs (n, ...)."""
        if self.any_batch:
            return self._call(x)
        n, short = len(x), -len(x) % self.batch
        x = np.concatenate([x, np.zeros_like(x[:1]).repeat(short, 0)]) if short else x
        return np.concatenate([self._call(x[i : i + self.batch]) for i in range(0, len(x), self.batch)])[:n]

    def _call(self, x: np.ndarray) -> np.ndarray:
        self.put(x)
        self.invoke()
        return np.array(self.get(), dtype=np.float32)


def runtime(name: str) -> ModuleType:
    """The module of a runtime. Raises BadInput for an unknown name."""
    return importlib.import_module(pick(RUNTIMES, name, "runtime"))


def missing(name: str) -> str | None:
    """Why a runtime cannot be used here, or None when it can."""
    for library in runtime(name).LIBRARIES:
        try:
            importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            return f"{library} is not installed (it has no wheel for every platform)"
    return None


def has_latency(name: str) -> bool:
    """Whether a runtime's time on this machine means anything."""
    return getattr(runtime(name), "HAS_LATENCY", True)


def versions(name: str) -> dict[str, str]:
    """The versions of the libraries that make and run a runtime's files."""
    return {library: importlib.metadata.version(library) for library in runtime(name).LIBRARIES}


def runtime_of(path: Path) -> str:
    """The runtime that a file belongs to, by its extension. Raises BadInput for an unknown one."""
    own = [name for name in RUNTIMES if name != "torch" and not hasattr(runtime(name), "PARENT")]
    known = {runtime(name).EXTENSION: name for name in own}
    if path.suffix not in known:
        raise BadInput(f"{path}: extension {path.suffix!r} is unknown; allowed: {', '.join(sorted(known))}")
    return known[path.suffix]


def own_precision(model) -> str:
    """The number format of a model as it is: float, unless it was trained quantized and brings its own integers."""
    return getattr(model, "precision", "fp32")


def check(name: str, precision: str) -> None:
    """Raises Unsupported when this runtime knows no such precision, or when its library is absent."""
    if precision not in runtime(name).PRECISIONS:
        raise Unsupported(f"{name} has no {precision}; it has {', '.join(runtime(name).PRECISIONS)}")
    if reason := missing(name):
        raise Unsupported(f"{name}: {reason}")


def export(model, task, path: Path, *, runtime: str, quant: Quant | None = None, batch_size: int = 1) -> Artifact:
    """The model as a file of `runtime` at `path` (its extension is set here). The store keeps each file: integer files
    come from the stored float file, and no model is converted twice. `batch_size`: the items of one call, more than one
    for float files of runtimes with `BATCHES`. Raises Unsupported with the reason.
    """
    from edgebook.runtimes import files

    check(runtime, quant.precision if quant else own_precision(model))
    return files.export(model, task, path, runtime_name=runtime, quant=quant, batch_size=batch_size)


def describe(quant: Quant | None) -> dict[str, Any]:
    """The quant as plain data, for a row's `asked`."""
    return asdict(quant) if quant else {"precision": "fp32"}
