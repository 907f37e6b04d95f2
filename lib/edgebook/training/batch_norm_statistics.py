"""Batch-norm statistics taken anew: what changes a net's weights shifts them."""

from __future__ import annotations

import copy

import torch
from torch import nn

from edgebook.errors import Unsupported
from edgebook.models import batch_norm
from edgebook.tasks.task import Task


@torch.no_grad()
def reestimate_batch_norm(model: nn.Module, task: Task, *, n_items: int = 2048, seed: int = 0) -> nn.Module:
    """A copy whose batch-norm statistics are taken anew from `n_items` training items. Raises Unsupported for a net without
    batch norm. Sources: Sun et al. 2019, Hybrid 8-bit training, section 3; Li et al. 2020, EagleEye, section 3.3 (pruning).
    """
    net = copy.deepcopy(model).eval()
    layers = [module for module in net.modules() if isinstance(module, batch_norm.NORMS)]
    if not layers:
        raise Unsupported("reestimate_batch_norm: this net has no batch norm")
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # plain mean over batches
        layer.train()
    order = torch.randperm(len(task.x_train), generator=torch.Generator().manual_seed(seed))
    for part in task.x_train[order[:n_items]].split(256):
        net(part)
    for layer in layers:
        layer.momentum = 0.1
    return net.eval()
