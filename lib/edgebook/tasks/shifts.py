"""Shifted data: the same items and labels as another sensor, place or day would give them."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from edgebook.errors import BadInput
from edgebook.registry import pick
from edgebook.tasks import SHIFTS
from edgebook.tasks.task import Task


def shifted(task: Task, kind: str, *, strength: float, seed: int = 0) -> Task:
    """The task with all its items shifted; the labels stay. kind: one of SHIFTS. Raises BadInput for an unknown kind, or one
    that these items cannot have.
    """
    shift = pick(SHIFTS, kind, "shift")
    splits = {name: getattr(task, name) for name in ("x_train", "x_val", "x_test")}
    moved = {name: shift(x, strength, torch.Generator().manual_seed(seed)) for name, x in splits.items()}
    return replace(task, name=f"{task.name}, {kind} {strength:g}", **moved)


def noise(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """White noise of `strength` standard deviations of the data."""
    return x + strength * x.std() * torch.randn(x.shape, generator=generator)


def sensor(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Another sensor: its gain is lower by `strength`, and it is off by as many standard deviations."""
    return (1 - strength) * x + strength * x.std()


def rotation(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Images (N, C, H, W) turned by `strength` right angles, the background outside. Raises BadInput for other items."""
    if x.ndim != 4:
        raise BadInput(f"shift = 'rotation' is for images; the items are {tuple(x.shape[1:])}; allowed: noise, sensor")
    angle, background = math.pi / 2 * strength, x.amin()
    turn = torch.tensor([[math.cos(angle), -math.sin(angle), 0.0], [math.sin(angle), math.cos(angle), 0.0]])
    grid = F.affine_grid(turn.expand(len(x), 2, 3), list(x.shape), align_corners=False)
    return F.grid_sample(x - background, grid, align_corners=False) + background
