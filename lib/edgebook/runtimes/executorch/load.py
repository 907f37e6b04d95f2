"""ExecuTorch programs, run by its own runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgebook.errors import BadInput, one_line
from edgebook.runtimes.base import Program

HALF = 5  # float16 in ExecuTorch's list of types


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
        source = method.metadata.input_tensor_meta(0)
    except (RuntimeError, ValueError) as error:
        raise BadInput(f"{path}: ExecuTorch cannot load it: {one_line(error)}") from error
    batch, *item = source.sizes()
    half, slot = source.dtype() == HALF, {}

    def put(x: np.ndarray) -> None:
        tensor = torch.from_numpy(np.array(x))
        slot["x"] = [tensor.half() if half else tensor]

    def invoke() -> None:
        slot["y"] = method.execute(slot["x"])[0]

    return Program(put, invoke, lambda: slot["y"].float().numpy(), tuple(item), batch=batch)
