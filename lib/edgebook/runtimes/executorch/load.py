"""ExecuTorch programs, run by its own runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgebook.errors import BadInput, one_line
from edgebook.runtimes.base import Program
from edgebook.runtimes.feeding import nothing, why_not_fed

TYPES = {0: "uint8", 1: "int8", 2: "int16", 3: "int32", 4: "int64", 5: "float16", 6: "float32", 7: "float64", 11: "bool"}


def preload() -> None:
    """Import the runtime."""
    import executorch.runtime  # noqa: F401


def load(path: Path, *, threads: int = 1, shape: tuple[int, ...] = ()) -> Program:
    """The program's `forward`. Raises BadInput for a file that ExecuTorch does not load."""
    import torch
    from executorch.extension.pybindings import _C
    from executorch.runtime import Runtime

    _C._unsafe_reset_threadpool(threads)  # takes every core otherwise; before the program is loaded, which keeps its pool
    try:
        method = Runtime.get().load_program(str(path)).load_method("forward")
        sources = [method.metadata.input_tensor_meta(number) for number in range(method.metadata.num_inputs())]
    except (RuntimeError, ValueError) as error:
        raise BadInput(f"{path}: ExecuTorch cannot load it: {one_line(error)}") from error
    if not sources:
        raise BadInput(f"{path}: has no input that is a tensor; allowed: one or more")
    types = [getattr(torch, TYPES.get(source.dtype(), "float32")) for source in sources]
    zeros = [torch.zeros(tuple(source.sizes()), dtype=kind) for source, kind in zip(sources, types, strict=True)]
    slot, n_outputs = {"x": zeros}, method.metadata.num_outputs()
    batch, *item = sources[0].sizes() or (1,)

    def put(x: np.ndarray) -> None:
        slot["x"] = [torch.from_numpy(np.array(x)).to(types[0])]

    def invoke() -> None:
        slot["y"] = method.execute(slot["x"])

    def getter(index: int) -> Callable[[], np.ndarray]:
        return lambda: slot["y"][index].float().numpy()

    getters = {f"output {index}": getter(index) for index in range(n_outputs)}
    named = {f"input {number}": zero.numpy().dtype for number, zero in enumerate(zeros)}
    if reason := why_not_fed(named, has_scale=False):
        return Program(nothing, invoke, getter(0), tuple(item), batch=batch, outputs=getters, not_scored=reason)
    return Program(put, invoke, getter(0), tuple(item), batch=batch, outputs=getters)
