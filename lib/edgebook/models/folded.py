"""Weights as the files have them: batch norm folded in. What equalization and the collapse detector share."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, fx, nn

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
PASSED = (nn.ReLU, nn.Identity, nn.Dropout, nn.LeakyReLU)  # scaling a channel before is scaling it behind


def following(model: nn.Module) -> dict[str, list[str]]:
    """Layer name -> names of the modules that its output goes through, one after the other, as long as nobody else reads
    it; the last may be the next layer. Empty for a net that torch.fx cannot trace."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = fx.symbolic_trace(model).graph
    except (fx.proxy.TraceError, TypeError, RuntimeError):
        return {}
    modules, found = dict(model.named_modules()), {}
    for node in graph.nodes:
        if node.op == "call_module" and isinstance(modules[node.target], LAYERS):
            path, at = [], node
            while len(at.users) == 1 and (at := next(iter(at.users))).op == "call_module":
                path.append(at.target)
                if isinstance(modules[at.target], LAYERS):
                    break
            found[node.target] = path
    return found


def norms(model: nn.Module) -> dict[str, str]:
    """Layer name -> name of the batch norm right behind it."""
    modules = dict(model.named_modules())
    return {name: path[0] for name, path in following(model).items() if path and isinstance(modules[path[0]], NORMS)}


def slope(norm: nn.Module) -> Tensor:
    """What batch norm multiplies each channel by, (C,)."""
    return norm.weight / (norm.running_var + norm.eps).sqrt()


@torch.no_grad()
def weights(model: nn.Module) -> dict[str, Tensor]:
    """Every layer's weight with the batch norm behind it folded in, output channels first."""
    behind, found = norms(model), {}
    for name, layer in model.named_modules():
        if isinstance(layer, LAYERS):
            w = layer.weight.detach()
            if name in behind:
                w = w * slope(model.get_submodule(behind[name])).reshape(-1, *[1] * (w.ndim - 1))
            found[name] = w.clone()
    return found
