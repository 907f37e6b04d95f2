"""PyTorch eager: the reference, not something that ships."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgebook.runtimes import Program

EXTENSION = ".pt"
LIBRARIES = ("torch",)
PRECISIONS = ("fp32",)


def convert(model, x, path: Path) -> None:
    """The store's own format: small, and loads with `weights_only=True`."""
    from edgebook.training.store import save

    save(model, path)


def preload() -> None:
    """Import the runtime: the memory that it takes before any file is loaded is not the file's."""


def load(path: Path, *, threads: int = 1) -> Program:
    """Runs the model eagerly in inference mode."""
    import torch

    from edgebook.training.store import load as load_model

    model = load_model(path)
    if model.spec["input_shape"] and len(model.spec["input_shape"]) == 3:
        model.to(memory_format=torch.channels_last)
    return eager(model, threads=threads)


def eager(model, *, threads: int) -> Program:
    """The program that calls a PyTorch model in inference mode."""
    import torch

    torch.set_num_threads(threads)
    slot = {}

    def put(x: np.ndarray) -> None:
        slot["x"] = torch.from_numpy(np.ascontiguousarray(x))

    def invoke() -> None:
        with torch.inference_mode():
            slot["y"] = model(slot["x"])

    return Program(put, invoke, lambda: slot["y"].numpy(), tuple(model.spec["input_shape"]), any_batch=True)
