"""Train, infer, evaluate: one short loop that every technique shares through three plain functions."""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgebook import lock
from edgebook.errors import BadInput
from edgebook.tasks import Task

Loss = Callable[[nn.Module, Tensor, Tensor, int], Tensor]
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
    """Outputs of the model in eval mode, (n, n_outputs) on the CPU. The model's mode is put back."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    outputs = torch.cat([model(part.to(device)).float().cpu() for part in x.split(batch_size)])
    model.train(was_training)
    return outputs


def evaluate(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Share of items whose largest output is the label, in [0, 1]. Never while somebody measures."""
    with lock.training():
        return (infer(model, x).argmax(1) == y).float().mean().item()


def make_optimizer(model: nn.Module, *, optimizer: str, lr: float, weight_decay: float) -> torch.optim.Optimizer:
    """SGD with momentum 0.9, or Adam; decay only on weights with two or more dimensions, as is the custom."""
    decayed = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    others = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    if optimizer == "adam":
        return torch.optim.Adam(groups, lr=lr, fused=True)
    if optimizer == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=0.9, nesterov=True, fused=True)
    raise BadInput(f"optimizer: {optimizer!r}; allowed: adam, sgd")


def cross_entropy(label_smoothing: float = 0.0) -> Loss:
    """The usual loss on labels, in the shape that `train` takes."""
    return lambda model, x, y, step: F.cross_entropy(model(x), y, label_smoothing=label_smoothing)


def train(
    model: nn.Module,
    task: Task,
    *,
    epochs: int,
    batch_size: int = 128,
    lr: float = 0.01,
    optimizer: str = "adam",
    weight_decay: float = 0.0,
    label_smoothing: float = 0.0,
    augment: bool = False,
    dtype: str = "float32",
    device: str = "auto",
    seed: int = 0,
    keep: str = "best",
    loss: Loss | None = None,
    before_step: Hook | None = None,
    after_step: Hook | None = None,
) -> nn.Module:
    """A trained copy of the model, on the CPU, its input untouched; `.history` holds one dict an epoch.

    One-cycle schedule (Smith 2018). `keep`: the weights of the epoch that is best on validation, or of the last one
    (for schedules whose end matters). `loss(model, x, y, step)`; `before_step` runs after backward, `after_step` after
    the optimizer, each with (model, step). `dtype` bfloat16 uses autocast.
    """
    seed_all(seed)
    model, device = copy.deepcopy(model), pick_device(device)
    x, y = _placed(model, task, device)
    loss, transform = loss or cross_entropy(label_smoothing), task.augment if augment else None
    steps_per_epoch = -(-len(x) // batch_size)
    optimizer = make_optimizer(model, optimizer=optimizer, lr=lr, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=lr, total_steps=max(epochs * steps_per_epoch, 2), pct_start=0.2
    )
    order, history, best, aside = torch.Generator().manual_seed(seed), [], (-1.0, None), 0.0

    def one_step(xb: Tensor, yb: Tensor, step: int) -> Tensor:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == "bfloat16"):
            value = loss(model, xb, yb, step)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        if before_step:
            before_step(model, step)
        optimizer.step()
        if after_step:
            after_step(model, step)
        schedule.step()
        nonlocal aside
        aside += lock.step_aside()
        return value.detach()

    for epoch in range(epochs):
        with lock.training():
            started, aside = time.perf_counter(), 0.0
            model.train()
            batches = enumerate(_batches(x, y, batch_size, order, transform), epoch * steps_per_epoch)
            mean_loss = float(sum(one_step(xb, yb, step) for step, (xb, yb) in batches)) / steps_per_epoch
            seconds = time.perf_counter() - started - aside
            score = evaluate(model, task.x_val, task.y_val)
        history.append({"epoch": epoch + 1, "loss": mean_loss, "val_score": score, "seconds": seconds})
        if not np.isfinite(mean_loss):
            raise FloatingPointError(f"the loss became {mean_loss} in epoch {epoch + 1}: a smaller lr than {lr} may help")
        if keep == "last" or score >= best[0]:
            best = (score, copy.deepcopy(model.state_dict()) if epoch + 1 < epochs else None)
    if best[1] is not None:
        model.load_state_dict(best[1])
    model = model.to("cpu").eval()
    model.history = history
    return model


def _placed(model: nn.Module, task: Task, device: torch.device) -> tuple[Tensor, Tensor]:
    """The training items on the device, and the model with them; images channels last, which CPUs and GPUs like."""
    x, y = task.x_train.to(device), task.y_train.to(device)
    if x.ndim != 4 or device.type == "mps":
        model.to(device)
        return x, y
    model.to(device, memory_format=torch.channels_last)
    return x.contiguous(memory_format=torch.channels_last), y


def _batches(
    x: Tensor, y: Tensor, batch_size: int, order: torch.Generator, augment: Callable | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch in a new order."""
    for items in torch.randperm(len(x), generator=order).to(x.device).split(batch_size):
        yield (augment(x[items], order) if augment else x[items]), y[items]
