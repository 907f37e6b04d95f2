"""Layer fusion: batch norm folded into the layer before it."""

from __future__ import annotations

from torch import nn

from edgebook.errors import Unsupported
from edgebook.models.batch_norm import fold, foldable
from edgebook.same_outputs import N_ITEMS, require_same
from edgebook.tasks.task import Task
from edgebook.training.loop import infer


def fuse(model: nn.Module, task: Task) -> nn.Module:
    """A copy whose batch norms are folded into the layers before them; the same outputs within float error.

    Activations are fused by each runtime's converter, which has operators for that; PyTorch has none in float. Batch
    norm is folded before every export as well, so that the files are the same. Raises Unsupported when there is nothing to
    fold, or when the outputs change.
    Source: Jacob et al. 2018, Quantization and training of neural networks, section 3.2.
    """
    if not foldable(model):
        reason = f"{type(model).__name__} has no batch norm directly after a convolution or a dense layer"
        raise Unsupported(reason, code="structure")
    folded, x = fold(model), task.x_train[:N_ITEMS]
    require_same("fuse", infer(model, x).numpy(), infer(folded, x).numpy())
    return folded
