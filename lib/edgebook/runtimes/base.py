"""Runtimes: one record each, with a load side (numpy and the runtime only) and an export side. RUNTIMES names them.

A runtime is a folder here with `load.py` and `export.py`, where it can tell something about a file also `inspect.py`:

load.py      preload()                                   import the library: its memory is not the file's
             load(path, *, threads, shape) -> Program    `shape`: an item's, for files that leave sizes open
             plain(path, *, threads, shape) -> Program   where `has_plain_kernels`: the same file, without optimization
export.py    convert(model, example, path)               the float file; of a FakeQuantized network its integer file
             quantize(source, path, quant, items)        other number formats; `source`: see `Runtime.quantizes`
             derive(parent_path, path, name)             where `parent` is set: a file from the parent's
             finish(whole_path, path, items)             where `finishes`: the file that ships
inspect.py   inspect(path) -> dict                       plain data about the file
             operators(path) -> list[str]                their names

The functions of export.py return a row's columns that are known when the file is made, `precision` where it is counted.
`contract` checks records and folders.
"""

from __future__ import annotations

import importlib.metadata
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from edgebook.errors import BadInput, Unsupported
from edgebook.registry import pick, resolve
from edgebook.runtimes import random_operators
from edgebook.runtimes.artifact import Artifact, source_path
from edgebook.runtimes.contract import registered
from edgebook.runtimes.program import Program

__all__ = ["RUNTIMES", "Artifact", "Program", "Quant", "Runtime", "source_path"]


@dataclass(frozen=True)
class Runtime:
    """What a runtime is and can do; `contract` checks it when it is registered."""

    name: str
    folder: str  # the package with its load and export sides
    extension: str
    libraries: tuple[str, ...]  # distributions that must be installed
    precisions: tuple[str, ...]
    programs: tuple[str, ...] = ()  # commands that must be on the path
    quantizes: Literal["file", "model", "nothing"] = "nothing"  # what `quantize` starts from: the float file, or the network
    parent: str | None = None  # runtime whose files it takes
    finishes: bool = False  # the file that ships is made from the one that integer files derive from
    inspects: bool = False
    has_latency: bool = True  # its time on this machine means something
    has_memory: bool = True  # so does its process's memory
    on_cores: bool = False  # runs on a microcontroller's core without a system, where its bytes and instructions are counted
    streams: bool = False  # takes a recurrent network one step per call
    batches: bool = False  # float files of several items per call
    random_operators: tuple[str, ...] = ()  # a file that has one is refused
    has_plain_kernels: bool = False  # `load.plain` runs a file without the optimization that `load.load` has
    open_shapes: bool = False  # a file may leave sizes open
    folds_batch_norm: bool = False  # in the network, before it is exported
    ships: bool = True  # False: a reference
    scores_everything: bool = False  # all items, however slow
    scored_by_source: bool = False  # its outputs are those of the file it was made from, kept beside as *.source.*
    owns_extension: bool = True  # a foreign file with this extension is run by it
    reference_kernels: tuple[str, ...] = ()  # precisions that plain loops compute: few items are scored, see measure.scoring

    def side(self, name: str) -> Any:
        """The module `load`, `export` or `inspect` of the runtime."""
        return resolve(f"{self.folder}.{name}:")


@dataclass(frozen=True)
class Quant:
    """How a file's numbers are made: what a runtime's `quantize` gets. Ranges come from training items only."""

    precision: str = "int8-static"
    granularity: str = "channel"  # or tensor: one weight scale per layer
    symmetric: bool = True  # of the weights
    algorithm: str = "minmax"
    n_calibration: int = 256
    seed: int = 0
    reduce_range: bool = False
    per_layer: tuple[tuple[str, str], ...] = ()  # (pattern, precision)


def runtime(name: str) -> Runtime:
    """The record of a runtime. Raises BadInput for an unknown name."""
    return pick(RUNTIMES, name, "runtime")


def missing(name: str) -> str | None:
    """Why a runtime cannot be used here; None when it can."""
    for library in runtime(name).libraries:
        try:
            importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            return f"{library} is not installed (it has no wheel for every platform)"
    absent = [program for program in runtime(name).programs if not shutil.which(program)]
    return f"{absent[0]} is not on the path" if absent else None


def versions(name: str) -> dict[str, str]:
    """The versions of the libraries that make and run a runtime's files."""
    return {library: importlib.metadata.version(library) for library in runtime(name).libraries}


def runtime_of(path: Path) -> str:
    """The runtime that runs a foreign file, by its extension. Raises BadInput for an unknown one."""
    owners = {record.extension: name for name, record in RUNTIMES.items() if record.owns_extension}
    if path.suffix in owners:
        return owners[path.suffix]
    raise BadInput(f"{path}: extension {path.suffix!r} is unknown; allowed: {', '.join(sorted(owners))}")


def check(name: str, precision: str) -> None:
    """Raises Unsupported when this runtime has no such precision, or when its library is absent."""
    if precision not in runtime(name).precisions:
        raise Unsupported(f"{name} has no {precision}; it has {', '.join(runtime(name).precisions)}", code="precision")
    if reason := missing(name):
        raise Unsupported(f"{name}: {reason}", code="library")


def describe(quant: Quant | None) -> dict[str, Any]:
    """The quant as plain data, for a row's `asked`."""
    return asdict(quant) if quant else {"precision": "fp32"}


_VELA = {
    "folder": "edgebook.runtimes.vela",
    "extension": ".tflite",
    "libraries": ("ethos-u-vela", "ai-edge-litert"),
    "precisions": ("int8-static", "int16x8"),
    "parent": "litert",
    "has_latency": False,
    "has_memory": False,
    "streams": True,
    "scored_by_source": True,
    "owns_extension": False,
    "reference_kernels": ("int16x8",),
}


RUNTIMES: dict[str, Runtime] = registered(
    Runtime(
        "onnx",
        "edgebook.runtimes.onnx",
        ".onnx",
        ("onnxruntime", "onnx", "onnxscript", "torch"),
        ("fp32", "fp16", "bf16", "int8-dynamic", "int8-static", "int8-weight", "int4-weight"),
        quantizes="file",
        inspects=True,
        batches=True,
        open_shapes=True,
        has_plain_kernels=True,
        random_operators=random_operators.ONNX,
        folds_batch_norm=True,
    ),
    Runtime(
        "litert",
        "edgebook.runtimes.litert",
        ".tflite",
        ("ai-edge-litert", "litert-torch", "ai-edge-quantizer", "torch"),
        ("fp32", "fp16", "int8-dynamic", "int8-static", "int16x8", "int8-weight", "int4-weight", "int4-dynamic", "int4-static"),
        quantizes="file",
        finishes=True,
        inspects=True,
        streams=True,
        batches=True,
        has_plain_kernels=True,
        random_operators=random_operators.LITERT,
        folds_batch_norm=True,
        reference_kernels=("int16x8",),
    ),
    Runtime(
        "packed",
        "edgebook.runtimes.packed",
        ".pack",
        ("torch",),
        ("fp32",),
        has_latency=False,
        has_memory=False,
        scores_everything=True,
    ),
    Runtime(
        "torch",
        "edgebook.runtimes.torch",
        ".pt",
        ("torch",),
        ("fp32",),
        ships=False,
        scores_everything=True,
        owns_extension=False,
    ),
    Runtime(
        "executorch",
        "edgebook.runtimes.executorch",
        ".pte",
        ("executorch", "torchao", "torch"),
        ("fp32", "fp16", "int8-dynamic", "int8-static"),
        quantizes="model",
        inspects=True,
        random_operators=random_operators.EXECUTORCH,
        folds_batch_norm=True,
    ),
    Runtime(
        "tflm",
        "edgebook.runtimes.tflm",
        ".tflite",
        ("tflite-micro", "ai-edge-litert"),
        ("fp32", "int8-static", "int16x8"),
        parent="litert",
        inspects=True,
        has_latency=False,
        has_memory=False,
        has_plain_kernels=True,
        random_operators=random_operators.LITERT,
        streams=True,
        owns_extension=False,
        reference_kernels=("fp32", "int8-static", "int16x8"),
    ),
    Runtime(
        "c",
        "edgebook.runtimes.c",
        ".c",
        ("ai-edge-litert",),
        ("int8-static", "int4-static"),
        programs=("cc",),
        parent="litert",
        has_latency=False,
        has_memory=False,
        on_cores=True,
        streams=True,
        owns_extension=False,  # C from elsewhere is code that would run
    ),
    *(Runtime(name, **_VELA) for name in ("vela", "vela-u65", "vela-u85")),
)
