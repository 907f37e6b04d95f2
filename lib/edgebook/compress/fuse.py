"""Layer fusion: batch norm folded into the layer before it."""

from __future__ import annotations

from torch import nn

from edgebook.errors import Unsupported
from edgebook.models.batch_norm import fold, foldable
from edgebook.tasks.task import Task


def fuse(model: nn.Module, task: Task) -> nn.Module:
    """A copy whose batch norms are folded into the layers before them; the same outputs within float error.

    Activations are fused by each runtime's converter, which has operators for that; PyTorch has none in float. Most
    converters fold batch norm as well: the measured difference shows which. Raises Unsupported when there is nothing to fold.
    Source: Jacob et al. 2018, Quantization and training of neural networks, section 3.2.
    """
    if not foldable(model):
        reason = f"{type(model).__name__} has no batch norm directly after a convolution or a dense layer"
        raise Unsupported(reason, code="structure")
    return fold(model)
