"""Where a pruning sweep's time goes: the share of its wall time, before measuring, that is spent in training steps.

`python benchmarks/sweep_time.py` prunes resnet8 at 8 ratios with 2 epochs of fine-tuning each (Fashion-MNIST, or another
task; `--items` trains on a part of it) and exports every net to ONNX. Nothing is taken from the store.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import tempfile
import time
from pathlib import Path

import torch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="fashion_mnist")
    parser.add_argument("--items", type=int, default=None, help="training items")
    parser.add_argument("--points", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["EDGEBOOK_STORE"] = folder
        steps, whole = sweep(options.task, options.items, options.points, Path(folder))
    print(f"{options.points} points: {whole:.1f} s, {steps:.1f} s in training steps: {steps / whole:.1%} (goal: 85 %)")


def sweep(task_name: str, n_items: int | None, n_points: int, folder: Path) -> tuple[float, float]:
    """Seconds in training steps, and seconds in all, without importing and loading data."""
    from edgebook.compress.prune.channels import prune
    from edgebook.models import build_model
    from edgebook.runtimes.export import export
    from edgebook.tasks import load_task
    from edgebook.training.loop import train
    from edgebook.training.recipe import Recipe
    from edgebook.training.store import cached

    task = load_task(task_name)
    if n_items:
        task = dataclasses.replace(task, x_train=task.x_train[:n_items], y_train=task.y_train[:n_items])
    net = build_model("resnet8", task.input_shape, task.n_outputs)
    export(net, task, folder / "warm", runtime="onnx")  # imports the exporter
    started, steps = time.perf_counter(), 0.0
    for number in range(n_points):
        cut = cached(prune, net, task, pruning_ratio=0.7 * (number + 1) / n_points, round_to=4)
        tuned = cached(train, cut, task, Recipe(epochs=2, lr=0.05, optimizer="sgd"))
        steps += sum(epoch["seconds"] for epoch in tuned.history)
        export(tuned, task, folder / f"point{number}", runtime="onnx")
    return steps, time.perf_counter() - started


if __name__ == "__main__":
    main()
