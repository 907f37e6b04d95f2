"""What an exporter gets: a copy of the network that computes the same, batch norm folded where that changes nothing."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from torch import Tensor, nn

from edgebook.errors import Unsupported, one_line
from edgebook.models.batch_norm import fold, foldable
from edgebook.models.fake_quantized import FakeQuantized
from edgebook.same_outputs import N_ITEMS, why_changed
from edgebook.training.loop import infer


def exportable(model: nn.Module, x: Tensor, *, folds: bool) -> tuple[nn.Module, dict[str, Any]]:
    """(the copy, columns). `folds`: whether batch norm is folded into the layers before it, which converters miss in some
    networks. The outputs of the items `x` decide: where they change, the copy stays unfolded and `extra.not_folded` says why.

    Raises Unsupported for a network that gives other outputs each time.
    """
    clean, x = clean_copy(model), x[:N_ITEMS]
    outputs = infer(clean, x).numpy()
    if not np.array_equal(outputs, infer(clean, x).numpy(), equal_nan=True):
        reason = "the network gives other outputs each time it is called: it draws random numbers in evaluation too"
        raise Unsupported(reason, code="fidelity")
    if not folds or isinstance(model, FakeQuantized) or not foldable(clean):
        return clean, {}
    try:
        folded = clean_copy(fold(clean))
        reason = why_changed(outputs, infer(folded, x).numpy())
    except Exception as error:  # the user's forward may use a batch norm's parameters
        reason = one_line(error)
    return (clean, {"extra": {"not_folded": reason}}) if reason else (folded, {})


def clean_copy(model: nn.Module) -> nn.Module:
    """A copy on the CPU, in eval mode, without gradients, every tensor contiguous: LiteRT's converter mixes up channels-last
    weights of two networks in one process.
    """
    clean = copy.deepcopy(model).cpu().eval().requires_grad_(False)
    for tensor in (*clean.parameters(), *clean.buffers()):
        tensor.data = tensor.data.contiguous()
    return clean
