"""What a network costs on paper: multiply-accumulates and parameters."""

from __future__ import annotations

import warnings

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_macs(model: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Multiply-accumulates of one item (PyTorch's flop counter / 2: convolutions and matrix products)."""
    was_training = model.training
    counter = FlopCounterMode(display=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # switching mkldnn off warns of Intel GPUs
        # without mkldnn recurrent layers run as matrix products, which the counter sees
        with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False), counter:
            model.eval()(torch.zeros(1, *input_shape))
    model.train(was_training)
    return counter.get_total_flops() // 2


def count_params(model: nn.Module) -> int:
    """Parameters, buffers not counted."""
    return sum(p.numel() for p in model.parameters())
