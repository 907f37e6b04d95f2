"""A preset for the user's data and network, and where asked a network file: what runs at once, to be changed afterwards."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebook.errors import BadInput
from edgebook.files import write_text
from edgebook.models import MODELS, allow_network, build_model
from edgebook.models.starters import starter
from edgebook.naming import is_package, is_path
from edgebook.registry import pick
from edgebook.tasks import load_task
from edgebook.tasks.task import Task
from edgebook.training.network_check import check_network
from edgebook.user_source import path_of

STEPS = 1500  # of the optimizer, that most small networks learn in
EPOCHS = (5, 100)
BATCHES = (16, 32, 64, 128)
BATCHES_PER_EPOCH = 20
MODEL_OF_KIND = {"anomaly": "autoencoder", "segmentation": "unet"}
MODEL_OF_DIMENSIONS = {1: "mlp", 2: "conv1d", 3: "resnet8"}
RECURRENT = ("gru", "lstm")

PRESET = """# {question}
# edgebook run {name}.yaml       `edgebook params` lists everything that can be set
shared: {{seed: 0, threads: 1, train_threads: 1, measure_s: 0.3, runtimes: [onnx, litert]}}
points:
  - task: {task}
    model: {model}
    params: {{baseline_recipe: {{epochs: {epochs}, batch_size: {batch_size}, lr: {lr}}}}}
notebooks:
  10_baseline: {{}}
  {prune}
  30_quantize_sweep: {{precisions: [fp16, int8-static], granularities: [channel], algorithms: [minmax], repairs: []}}
once: [90_compare]
"""
CHANNELS = "20_prune_sweep: {{pruning_ratios: [0.25, 0.5], finetune_recipe: {{epochs: {finetune}, lr: {lr_finetune}}}}}"
UNITS = (
    "24_prune_recurrent: {{hidden_ratios: [0.5], finetune_recipe: {{epochs: {finetune}, lr: {lr_finetune}}}, scratch_ratios: []}}"
)


@dataclass(frozen=True)
class Study:
    """What was written. notes: what was chosen and why, in sentences."""

    preset: Path
    network: Path | None
    notes: tuple[str, ...]


def usual_model(task: Task) -> str:
    """The network of MODELS that suits a task when none is named: by its kind and the form of its items."""
    return MODEL_OF_KIND.get(task.kind_name) or MODEL_OF_DIMENSIONS.get(len(task.input_shape), "mlp")


def new_study(name: str, task_name: str, model_name: str | None, folder: Path) -> Study:
    """A preset `<name>.yaml` in the folder, for a task and a network; a network file that is not there yet is written too.

    Without a network one of MODELS is taken that suits the task. Raises BadInput for data or a network that cannot be used, and
    for files that are there already.
    """
    task = load_task(task_name)
    preset = folder / f"{name}.yaml"
    if preset.exists():
        raise BadInput(f"{preset}: is there already; allowed: another name")
    network = None
    if model_name is None:
        model_name = usual_model(task)
        notes = [f"network: {model_name}, which suits {task.kind_name} of items of shape {_shape(task)}"]
    else:
        network, notes = _network(model_name, task)
    _check(model_name, task)
    values, said = _training(len(task.x_train))
    prune = (UNITS if model_name in RECURRENT else CHANNELS).format(**values)
    question = f"Which lightweight version of {model_name} should ship for {task.name}?"
    text = PRESET.format(name=name, task=_text(task_name), model=_text(model_name), prune=prune, question=question, **values)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(preset, text)
    return Study(preset, network, (*notes, said, *task.notes))


def _network(model_name: str, task: Task) -> tuple[Path | None, list[str]]:
    """(the file that was written, or None; what is said about it)."""
    if not is_path(model_name):
        pick(MODELS, model_name, "model")
        return None, []
    allow_network(model_name)
    file = path_of(model_name)
    if is_package(model_name) or file.exists():
        return None, []
    function = model_name.rpartition(":")[2]
    if file.suffix != ".py":
        raise BadInput(f"model {model_name!r}: no file {file}; allowed: path/to/net.py:build, which is written when it is absent")
    text = starter(function, task.kind_name, task.input_shape)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, text)
    return file, [f"network: {file.name} is written, a small network for items of shape {_shape(task)}; change it as you like"]


def _check(model_name: str, task: Task) -> None:
    """Raises BadInput for a network that does not fit the task."""
    check_network(build_model(model_name, task.input_shape, task.n_outputs), task)


def _training(n_items: int) -> tuple[dict[str, Any], str]:
    """Batch size, epochs and learning rates for so many training items, and how they were chosen."""
    batch_size = max([size for size in BATCHES if size * BATCHES_PER_EPOCH <= n_items], default=BATCHES[0])
    epochs = min(max(round(STEPS * batch_size / n_items), EPOCHS[0]), EPOCHS[1])
    steps = epochs * -(-n_items // batch_size)
    values = {"batch_size": batch_size, "epochs": epochs, "finetune": max(3, epochs // 3), "lr": 0.01, "lr_finetune": 0.005}
    return values, f"training: {n_items:,} items, batches of {batch_size}, {epochs} epochs: about {steps:,} steps"


def _text(value: str) -> str:
    """A text as YAML has it, in quotes where it needs them."""
    return value if re.fullmatch(r"[\w./~][\w./:~-]*", value) else json.dumps(value)


def _shape(task: Task) -> str:
    return " x ".join(map(str, task.input_shape))
