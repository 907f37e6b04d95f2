"""One step of SGD on a dense layer as a .tflite: layer, item and step size go in, the layer comes out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgebook.runtimes.quiet import quiet
from edgebook.runtimes.train_step import Layer, Lesson, Trained


class Step(nn.Module):
    """The gradient of the softmax loss by hand: LiteRT has no automatic one."""

    def forward(self, weight: Tensor, bias: Tensor, x: Tensor, target: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
        error = F.softmax(F.linear(x, weight, bias), dim=1) - target  # (1, classes)
        return weight - rate * error.T @ x, bias - rate * error[0]


def train(layer: Layer, lesson: Lesson, folder: Path) -> Trained:
    """See `runtimes.train_step`."""
    import litert_torch
    from ai_edge_litert.interpreter import Interpreter

    file, targets = folder / "train_step.tflite", np.eye(len(layer.bias), dtype=np.float32)
    rate = np.array([lesson.rate], np.float32)
    example = (layer.weight, layer.bias, lesson.x[:1], targets[:1], rate)
    with quiet():
        litert_torch.convert(Step().eval(), tuple(map(torch.from_numpy, example))).export(str(file))
    step = Interpreter(str(file), num_threads=1).get_signature_runner()
    weight, bias = layer.weight, layer.bias
    for item in lesson.order:
        given = (weight, bias, lesson.x[item : item + 1], targets[lesson.y[item]][None], rate)
        made = step(**{f"args_{place}": value for place, value in enumerate(given)})
        weight, bias = made["output_0"], made["output_1"]
    return Trained(Layer(weight, bias), file.stat().st_size)
