"""The networks of frontier.py: how each one is trained, and where it is kept.

One network and seed = one file in a folder, trained where it is absent and loaded where it is there, also after the library has
changed: measuring again on another machine takes minutes, not the hours of the training.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from edgebook.compress.distill.outputs import distill
from edgebook.errors import BadInput
from edgebook.models import build_model
from edgebook.tasks.task import Task
from edgebook.training.loop import seed_all, train
from edgebook.training.recipe import Recipe
from edgebook.training.store import load, read, save, write
from edgebook.training.teacher import Teacher, mean_outputs


@dataclass(frozen=True)
class Training:
    """A network of one task, and how it is trained: alone, or on the outputs of another network of the table.

    role: see `vocabulary`. control_of: the network that it stands beside, trained for as many steps. is_float: measured as a
    float file in ONNX Runtime instead of as int8 files in LiteRT.
    """

    task: str
    model: str
    shape: dict[str, Any]
    recipe: Recipe
    teacher: str = ""
    temperature: float = 2.0
    soft_weight: float = 0.9
    role: str = "version"
    control_of: str = ""
    is_float: bool = False


def settings(training: Training) -> dict[str, Any]:
    """The training as plain data, kept in its file."""
    return {key: value for key, value in asdict(training).items() if key not in ("role", "control_of", "is_float")}


def stored(name: str, seed: int, folder: Path) -> Path:
    """Where a trained network is kept, or would be."""
    return folder / f"{name}-{seed}.pt"


def network(name: str, seed: int, folder: Path, task: Task) -> nn.Module:
    """The trained network of a name and seed: of its file in the folder, or trained and written there.

    `seconds` is what its training cost on one core. Raises BadInput for a file whose training was another one than the table has.
    """
    path, training = stored(name, seed, folder), NETWORKS[name]
    if path.exists():
        trained_as = read(path)["settings"]
        if trained_as != settings(training):
            raise BadInput(f"{path}: trained as {trained_as}; allowed: {settings(training)}, or no such file")
        return load(path)
    teacher = _outputs(training.teacher, folder, task, training.recipe) if training.teacher else None
    started = time.process_time()
    net = _trained(training, replace(training.recipe, seed=seed), task, teacher)
    save(net, path, history=net.history, key=path.stem, seconds=time.process_time() - started, settings=settings(training))
    return load(path)


def _trained(training: Training, recipe: Recipe, task: Task, teacher: Teacher | None) -> nn.Module:
    seed_all(recipe.seed)
    net = build_model(training.model, task.input_shape, task.n_outputs, **training.shape)
    if teacher is None:
        return train(net, task, recipe)
    soft = {"temperature": training.temperature, "soft_weight": training.soft_weight}
    return distill(net, task, recipe, teacher=teacher, **soft)


def _outputs(name: str, folder: Path, task: Task, recipe: Recipe) -> Teacher:
    """What a student learns from: its teacher where the items are augmented, else the outputs, computed once."""
    if recipe.augment:
        return network(name, 0, folder, task)
    path = folder / f"{name}-0-outputs.pt"
    if not path.exists():
        write(path, {"tensor": mean_outputs(network(name, 0, folder, task), task)})
    return read(path)["tensor"]


LARGE = Recipe(30, 128, lr=0.1, optimizer="sgd", weight_decay=5e-4, augment=True, dtype="bfloat16")
LONG = Recipe(60, 256, lr=0.01, weight_decay=1e-4, dtype="bfloat16")
SEQUENCES = Recipe(120, 100, lr=0.01, augment=True)


def _image(name: str, widths: list[int], strides: list[int], *, epochs: int = 60, **shape: Any) -> dict[str, Training]:
    """A student for images, alone with the same steps, and alone with label smoothing."""
    shape, recipe = {"widths": widths, "strides": strides, "kernel": 5, **shape}, replace(LONG, epochs=epochs)
    student = Training("fashion_mnist", "edge_cnn", shape, recipe, "teacher")
    alone = replace(student, teacher="", role="control", control_of=name)
    smoothed = replace(alone, recipe=replace(recipe, label_smoothing=0.1))
    return {name: student, f"{name} alone": alone, f"{name} label smoothing": smoothed}


def _sequence(name: str, widths: list[int], strides: list[int], block: str = "plain") -> dict[str, Training]:
    """A student for sequences, and alone with the same steps."""
    shape = {"widths": widths, "strides": strides, "block": block, "kernel": 5}
    student = Training("mnist1d", "edge_cnn", shape, SEQUENCES, "wide conv1d", is_float=True)
    return {name: student, f"{name} alone": replace(student, teacher="", role="control", control_of=name)}


NETWORKS = {
    "baseline": Training("fashion_mnist", "resnet8", {}, replace(LARGE, epochs=20), role="baseline", is_float=True),
    "teacher": Training("fashion_mnist", "resnet8", {"widths": [32, 64, 128]}, LARGE, role="control", is_float=True),
    **_image("7.5k", [8, 16, 16, 24], [2, 1, 2, 1]),
    **_image("12k", [8, 16, 24, 32], [2, 1, 2, 1]),
    **_image("18k", [8, 16, 16, 32, 32], [2, 1, 2, 1, 1]),
    # without a stride in the first layer: more accurate for the same bytes, and slower
    **_image("19k", [16, 16, 16, 32, 32], [1, 2, 1, 2, 1], epochs=40, block="residual", kernel=3),
    **_image("49k", [16, 32, 32, 48, 48], [1, 2, 1, 2, 1], epochs=25, block="residual", kernel=3),
    "conv1d": Training("mnist1d", "conv1d", {}, SEQUENCES, role="baseline", is_float=True),
    "wide conv1d": Training("mnist1d", "conv1d", {"widths": [48] * 3}, SEQUENCES, role="control", is_float=True),
    **_sequence("8 8 8 8", [8] * 4, [2, 1, 2, 1]),
    **_sequence("8 8 8 8 16", [8, 8, 8, 8, 16], [2, 1, 2, 1, 1]),
    **_sequence("8 8 8 8 16, residual", [8, 8, 8, 8, 16], [2, 1, 2, 1, 1], "residual"),
}
