"""The last layer of an exported network adapted to shifted data, as a device would do it: features from the int8 file, a few
labelled items, steps of SGD in float."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from edgebook import lock
from edgebook.boards import emulated
from edgebook.errors import BadInput, Unsupported
from edgebook.files import scratch
from edgebook.measure.cores import CORE
from edgebook.runtimes.base import Quant, runtime
from edgebook.runtimes.c import train_step as c_step
from edgebook.runtimes.export import export
from edgebook.runtimes.train_step import Layer, Lesson, train_on
from edgebook.tasks.task import Task, draw_items
from edgebook.training.last_layer import sgd, split

N_COUNTED = 2  # steps that are counted


@dataclass(frozen=True)
class Adaptation:
    """How the last layer is adapted: labelled items of the shifted training data, steps of one item each, the step size."""

    n_labelled: int = 100
    n_steps: int = 1000
    rate: float = 0.01
    seed: int = 0


def adapt(model: nn.Module, task: Task, shifted: Task, how: Adaptation, *, runtimes: list[str]) -> list[dict[str, Any]]:
    """One dict per way: "trained by", "shifted data" and "original data" (test score, lower and upper end of its interval), and
    for those that train "steps", "bytes" (of the file that makes a step), "instructions" (of a step on a Cortex-M4), "weights"
    (largest difference from PyTorch's).

    First the network before, then the control in PyTorch, then each runtime: the same steps on the same items. Raises BadInput
    for a task without classes, Unsupported for a network without a dense last layer.
    """
    if not task.kind.has_classes:
        raise BadInput(f"task = {task.name!r} has no classes; the last layer is adapted by the loss of classes")
    body, head = split(model, task)
    with scratch() as folder, lock.training():
        file = export(body, task, folder / "features", runtime="litert", quant=Quant(seed=how.seed)).path
        features = runtime("litert").side("load").load(file).predict
        lesson = _lesson(shifted, features, how)
        tests = {
            "shifted data": (shifted, features(shifted.x_test.numpy())),
            "original data": (task, features(task.x_test.numpy())),
        }
        before = _layer(head)
        x, y, order = (torch.from_numpy(part) for part in (lesson.x, lesson.y, lesson.order))
        control = _layer(sgd(head, task, x, y, order=order, rate=how.rate))
        lines = [{"trained by": "nothing"} | _scores(before, tests)]
        lines.append({"trained by": "PyTorch"} | _scores(control, tests) | {"steps": how.n_steps})
        for trainer in runtimes:
            trained = train_on(trainer, before, lesson, folder)
            apart = float(np.abs(trained.layer.weight - control.weight).max())
            facts = {"steps": how.n_steps, "bytes": trained.size_bytes, "weights": apart}
            facts |= _counted(before, lesson) if trainer == "c" else {}
            lines.append({"trained by": trainer} | _scores(trained.layer, tests) | facts)
    return lines


def recovered(lines: list[dict[str, Any]]) -> dict[str, float | None]:
    """For each way of training the share of what the shift had cost that the adapted layer wins back; None where the shift cost
    nothing."""
    before = lines[0]
    lost = before["original data"][0] - before["shifted data"][0]
    return {
        str(line["trained by"]): (line["shifted data"][0] - before["shifted data"][0]) / lost if lost > 0 else None
        for line in lines[1:]
    }


def _layer(head: nn.Linear) -> Layer:
    return Layer(head.weight.detach().numpy().copy(), head.bias.detach().numpy().copy())


def _lesson(shifted: Task, features: Any, how: Adaptation) -> Lesson:
    """The labelled items, each seen as often as the others, in a new order every time."""
    items = draw_items(len(shifted.x_train), how.n_labelled, how.seed)
    generator = np.random.default_rng(how.seed)
    rounds = -(-how.n_steps // len(items))
    order = np.concatenate([generator.permutation(len(items)) for _ in range(rounds)])[: how.n_steps]
    return Lesson(features(shifted.x_train[items].numpy()), shifted.y_train[items].numpy(), order, how.rate)


def _scores(layer: Layer, tests: dict[str, tuple[Task, np.ndarray]]) -> dict[str, tuple[float, float, float]]:
    """Test score with its interval on each data."""
    scores = {}
    for name, (task, x) in tests.items():
        targets = task.y_test.numpy()
        items = task.metric.item_scores(layer.outputs(x), task.x_test.numpy(), targets)
        scores[name] = (task.metric.score(items, targets), *task.metric.interval(items, targets))
    return scores


def _counted(layer: Layer, lesson: Lesson) -> dict[str, int]:
    """The instructions of a step on an emulated core without floating-point instructions; nothing where none can be emulated."""
    items = c_step.as_items(lesson, N_COUNTED)
    try:
        measured = emulated.measure(c_step.as_network(layer, lesson.rate), items, core=CORE, n_steps=len(items))
    except Unsupported:
        return {}
    return {"instructions": measured.instructions}
