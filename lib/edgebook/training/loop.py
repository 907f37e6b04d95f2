"""Train, infer, evaluate: one short loop that every technique shares through three plain functions."""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from edgebook import lock
from edgebook.errors import BadInput
from edgebook.tasks.task import Task
from edgebook.training.frozen import freeze, thaw
from edgebook.training.losses import Loss, hard_loss
from edgebook.training.recipe import Recipe

Hook = Callable[[nn.Module, int], None]


def seed_all(seed: int) -> None:
    """Seed Python, NumPy and PyTorch."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def pick_device(device: str = "auto") -> torch.device:
    """The named device; for `auto` CUDA, else MPS, else the CPU. Raises BadInput when it is absent."""
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    name = next(name for name, there in present.items() if there) if device == "auto" else device
    if not present.get(name, False):
        raise BadInput(f"device: {device!r} is not here; allowed: auto, {', '.join(k for k, v in present.items() if v)}")
    return torch.device(name)


@torch.inference_mode()
def infer(model: nn.Module, x: Tensor, *, batch_size: int = 1024) -> Tensor:
    """Outputs of the model in eval mode, (n, ...) on the CPU. The model's mode is restored."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    outputs = torch.cat([model(part.to(device)).float().cpu() for part in x.split(batch_size)])
    model.train(was_training)
    return outputs


def evaluate(model: nn.Module, task: Task, split: str = "val") -> float:
    """The task's score of the PyTorch model on a split, higher is better. Holds the training side of the lock."""
    x, y = getattr(task, f"x_{split}"), getattr(task, f"y_{split}")
    with lock.training():
        outputs = infer(model, x).numpy()
    return task.metric.score(task.metric.item_scores(outputs, x.numpy(), y.numpy()), y.numpy())


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD with momentum 0.9, or Adam; decay only on weights with two or more dimensions, as is the custom."""
    decayed = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    others = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    if recipe.optimizer == "adam":
        return torch.optim.Adam(groups, lr=recipe.lr, fused=True)
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.lr, momentum=0.9, nesterov=True, fused=True)
    raise BadInput(f"optimizer: {recipe.optimizer!r}; allowed: adam, sgd")


def train(
    model: nn.Module,
    task: Task,
    recipe: Recipe,
    *,
    loss: Loss | None = None,
    before_step: Hook | None = None,
    after_step: Hook | None = None,
    keep: str = "best",
) -> nn.Module:
    """A trained copy of the model, on the CPU, its input untouched; `.history` holds one dict per epoch.

    loss: (model, x, y, step) -> scalar, the kind's own on the labels when None. `before_step` runs after backward,
    `after_step` after the optimizer, each with (model, step). keep: the weights of the epoch with the best validation score,
    or of the last one (for schedules whose end matters). With 0 epochs the copy is as given. One-cycle schedule (Smith 2018).
    Raises FloatingPointError when the loss is not finite.
    """
    seed_all(recipe.seed)
    given, model = model, copy.deepcopy(model)
    frozen = freeze(model, recipe.frozen)
    x, y = _placed(model, task, pick_device(recipe.device))
    optimizer, n_steps = make_optimizer(model, recipe), recipe.steps_per_epoch(len(x))
    schedule = _one_cycle(optimizer, recipe.lr, max(recipe.epochs * n_steps, 2))
    one_step = _stepper(model, recipe, optimizer, schedule, loss or hard_loss(task.kind, recipe), (before_step, after_step))
    order, history, best = torch.Generator().manual_seed(recipe.seed), [], _Best(keep)
    for epoch in range(recipe.epochs):
        with lock.training():
            started, aside = time.perf_counter(), lock.seconds_aside()
            _training_mode(model, frozen)
            batches = enumerate(_batches(x, y, recipe, order, task.augment), epoch * n_steps)
            mean_loss = float(sum(one_step(xb, yb, step) for step, (xb, yb) in batches)) / n_steps
            seconds = time.perf_counter() - started - (lock.seconds_aside() - aside)
            score = evaluate(model, task)
        if not np.isfinite(mean_loss):
            raise FloatingPointError(f"the loss became {mean_loss} in epoch {epoch + 1}; a smaller lr than {recipe.lr} may help")
        history.append({"epoch": epoch + 1, "loss": mean_loss, "val_score": score, "seconds": seconds})
        best.update(score, model, is_last=epoch + 1 == recipe.epochs)
    model = thaw(best.restored(model).to("cpu").eval(), given)
    model.history = history
    return model


def _training_mode(model: nn.Module, frozen: list[nn.Module]) -> None:
    """All but the frozen modules."""
    model.train()
    for module in frozen:
        module.eval()


@dataclass
class _Best:
    """The weights of the best validation score so far, unless those of the last epoch are to be kept."""

    keep: str
    score: float = -float("inf")
    state: dict | None = field(default=None, repr=False)

    def update(self, score: float, model: nn.Module, *, is_last: bool) -> None:
        if self.keep == "best" and score >= self.score:
            self.score, self.state = score, None if is_last else copy.deepcopy(model.state_dict())

    def restored(self, model: nn.Module) -> nn.Module:
        if self.state is not None:
            model.load_state_dict(self.state)
        return model


def _one_cycle(optimizer: torch.optim.Optimizer, lr: float, n_steps: int) -> torch.optim.lr_scheduler.OneCycleLR:
    """The rate rises to `lr` in the first fifth of the steps and falls to nearly 0.

    Where a fifth is less than two steps the rise takes two: PyTorch divides by zero for a rise of one.
    """
    share = min(max(0.2, 2 / n_steps), 0.9)
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=n_steps, pct_start=share)


def _stepper(model, recipe: Recipe, optimizer, schedule, loss: Loss, hooks: tuple[Hook | None, Hook | None]) -> Callable:
    """The function that does one training step: (x, y, step) -> the loss, detached."""
    before_step, after_step = hooks
    device_type = next(model.parameters()).device.type

    def one_step(x: Tensor, y: Tensor, step: int) -> Tensor:
        with torch.autocast(device_type, dtype=torch.bfloat16, enabled=recipe.dtype == "bfloat16"):
            value = loss(model, x, y, step)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        if before_step:
            before_step(model, step)
        optimizer.step()
        if after_step:
            after_step(model, step)
        schedule.step()
        lock.step_aside()
        return value.detach()

    return one_step


def _placed(model, task: Task, device: torch.device) -> tuple[Tensor, Tensor]:
    """The training items on the device, and the model with them; images channels last, which CPUs and GPUs like."""
    x, y = task.x_train.to(device), task.y_train.to(device)
    if x.ndim != 4 or device.type == "mps":
        model.to(device)
        return x, y
    model.to(device, memory_format=torch.channels_last)
    return x.contiguous(memory_format=torch.channels_last), y


def _batches(
    x: Tensor, y: Tensor, recipe: Recipe, order: torch.Generator, augment: Callable | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch in a new order, augmented where the recipe asks for it and the task can.

    A last batch of a single item is left out: batch norm needs two.
    """
    for items in torch.randperm(len(x), generator=order).to(x.device).split(recipe.batch_size):
        if len(items) == 1 < min(recipe.batch_size, len(x)):
            continue
        yield (augment(x[items], order) if augment and recipe.augment else x[items]), y[items]
