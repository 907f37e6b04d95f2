"""Layer fusion: convolution, batch norm and activation as one operator."""

from __future__ import annotations

from torch import nn

from edgebook.errors import Unsupported
from edgebook.models.batch_norm import fold, foldable
from edgebook.tasks.task import Task


def fuse(model: nn.Module, task: Task) -> nn.Module:
    """A copy whose batch norms are folded into the layers before them; the same outputs within float error.

    The activation is fused by each runtime's own converter, which has operators for it; PyTorch has none in float. Most
    converters fold batch norm too: the measured effect says which. Raises Unsupported when there is nothing to fold.
    Source: Jacob et al., arXiv 1712.05877, section 3.2.
    """
    if not foldable(model):
        raise Unsupported(f"{type(model).__name__} has no batch norm directly behind a convolution or a dense layer", code="structure")
    return fold(model)
