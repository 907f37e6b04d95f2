"""Training with the rounding in the loop: one run, one set of integers, a file for each runtime that takes them."""

from __future__ import annotations

import warnings

from torch import nn

from edgebook.errors import BadInput
from edgebook.models.fake_quantized import FakeQuantized, prepare  # noqa: F401
from edgebook.tasks.task import Task
from edgebook.training.finetune import of_recipe, taught
from edgebook.training.loop import train


def qat(
    model: nn.Module, task: Task, *, epochs: int, teacher: nn.Module | None = None, soft_weight: float = 0.5,
    temperature: float = 4.0, freeze_at: float = 0.75, **recipe,
) -> nn.Module:  # fmt: skip
    """The model fine-tuned with int8 rounding in the loop, as a FakeQuantized; `recipe` goes to `train`. Ranges freeze
    after `freeze_at` of the steps. With a `teacher` (the float model), its softened outputs get `soft_weight` of the loss.
    Raises BadInput for a share outside [0, 1], `taught`'s only with a teacher.
    """
    if not 0 <= freeze_at <= 1:
        raise BadInput(f"freeze_at = {freeze_at}; allowed: 0 to 1")
    last = int(freeze_at * epochs * -(-len(task.x_train) // recipe.get("batch_size", 128)))
    loss = None
    if teacher is not None:
        loss = taught(teacher, soft_weight=soft_weight, temperature=temperature, **of_recipe(recipe))

    def freeze(net: nn.Module, step: int) -> None:
        if step == last:
            net.freeze()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PyTorch's own, at every copy of an exported graph
        net = train(prepare(model), task, epochs=epochs, loss=loss, after_step=freeze, **recipe)
    net.freeze()
    return net
