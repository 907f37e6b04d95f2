"""Networks as the store keeps them, run eagerly."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgebook.runtimes.base import Program


def preload() -> None:
    """Import the runtime."""
    import torch  # noqa: F401


def load(path: Path, *, threads: int = 1, shape: tuple[int, ...] = ()) -> Program:
    """The program that calls the stored network in inference mode."""
    from edgebook.training.store import load as load_model

    return eager(load_model(path), threads=threads)


def eager(model, *, threads: int) -> Program:
    """The program that calls a PyTorch network in inference mode; images channels last, which CPUs like."""
    import torch

    torch.set_num_threads(threads)
    item = tuple(model.spec["input_shape"])
    if len(item) == 3:
        model.to(memory_format=torch.channels_last)
    slot = {}

    def put(x: np.ndarray) -> None:
        slot["x"] = torch.from_numpy(np.ascontiguousarray(x))

    def invoke() -> None:
        with torch.inference_mode():
            slot["y"] = model(slot["x"])

    return Program(put, invoke, lambda: slot["y"].numpy(), item, any_batch=True)
