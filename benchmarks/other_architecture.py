"""Are the outputs of int8 files the same on another processor? Runs them there under user-mode emulation; no time comes from it.

    python benchmarks/other_architecture.py --python "qemu-aarch64 -L ROOT ROOT/usr/bin/python3.11" --site SITE

ROOT: a folder with Python for that processor, such as Debian's python3.11-minimal, libpython3.11-stdlib, libc6, libstdc++6,
zlib1g and libffi8 for arm64, each unpacked by `dpkg -x`. SITE: a folder with numpy and the runtimes for it, wheels for
`--platform manylinux_2_28_aarch64` by `pip download`, unpacked. `qemu-aarch64` is in Debian's package qemu-user.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import IO

import numpy as np
import torch

from edgebook.boards.board import Board
from edgebook.boards.verify import outputs
from edgebook.boards.worker import Worker
from edgebook.models import build_model
from edgebook.paths import CHECKOUT
from edgebook.runtimes.base import Artifact, Quant
from edgebook.runtimes.export import export
from edgebook.tasks import load_task
from edgebook.training.loop import seed_all, train
from edgebook.training.recipe import Recipe

NETWORKS = {"conv1d": "mnist1d", "resnet8": "digits", "ds_cnn": "digits"}
RECIPE = Recipe(epochs=5, batch_size=64, lr=0.01, device="cpu")
HEADER = "| network | runtime | items | same class | equal outputs | difference | largest output |\n|---|---|---|---|---|---|---|"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", required=True, help="the command that starts Python for the other processor")
    parser.add_argument("--site", type=Path, required=True, help="folder with numpy and the runtimes for it")
    parser.add_argument("--items", type=int, default=100, help="test items")
    options = parser.parse_args()
    torch.set_num_threads(1)
    board = emulator(shlex.split(options.python), options.site.resolve())
    print(HEADER)
    with tempfile.TemporaryDirectory() as name:
        for model, data in NETWORKS.items():
            task = load_task(data)
            seed_all(0)
            net = train(build_model(model, task.input_shape, task.n_outputs), task, RECIPE)
            for runtime in ("litert", "onnx"):
                file = export(net, task, Path(name) / f"{model}-{runtime}", runtime=runtime, quant=Quant(n_calibration=64))
                x = task.x_test[: options.items].numpy()
                here = outputs(runtime, file.path, x)
                there = outputs_there(file, x, board, Path(name))
                print(f"| {model} | {runtime} | {len(x)} | {comparison(here, there)} |", flush=True)


def emulator(command: list[str], site: Path) -> Board:
    """A board whose Python runs under an emulator, on this machine's own files."""

    def start(artifact: Artifact, *, threads: int, shape: tuple[int, ...], errors: IO[bytes]) -> subprocess.Popen:
        line = [*command, "-m", "edgebook.measure.bench", artifact.runtime, str(artifact.path), "--threads", str(threads)]
        environment = {**os.environ, "PYTHONPATH": f"{site}:{CHECKOUT / 'lib'}", "PYTHONSAFEPATH": "1"}
        pipe = subprocess.PIPE
        return subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=errors, env=environment, bufsize=0)

    return Board(start, send=str, path=str, fetch=lambda path: None)


def outputs_there(file: Artifact, x: np.ndarray, board: Board, folder: Path) -> np.ndarray:
    """Outputs (n, ...) of the file in its runtime on the other processor."""
    np.save(folder / "x.npy", x)
    worker = Worker(file, threads=1, limit_s=600, shape=x.shape[1:], board=board)
    try:
        worker.ask()
        worker.ask(do="score", x=str(folder / "x.npy"), y=str(folder / "y.npy"))
    finally:
        worker.close()
    return np.load(folder / "y.npy")


def comparison(here: np.ndarray, there: np.ndarray) -> str:
    """The cells of one line."""
    same_class = (here.argmax(1) == there.argmax(1)).mean()
    equal = (here == there).all(1).mean()
    return f"{same_class:.1%} | {equal:.1%} | {np.abs(here - there).max():.4g} | {np.abs(here).max():.4g}"


if __name__ == "__main__":
    main()
