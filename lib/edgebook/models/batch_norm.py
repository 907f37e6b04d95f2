"""Batch norm folded into the convolution or dense layer before it: the same outputs with fewer operators."""

from __future__ import annotations

import torch.fx
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

CONVS = nn.Conv1d | nn.Conv2d | nn.Conv3d
NORMS = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


def foldable(model: nn.Module) -> list[tuple[str, str]]:
    """Names of (layer, batch norm) where the batch norm alone reads the layer's output, in the order in which they run.

    Found by tracing, so names and nesting of the modules do not matter; empty where the forward cannot be traced.
    """
    if not any(isinstance(module, NORMS) for module in model.modules()):
        return []
    try:
        graph = torch.fx.symbolic_trace(model).graph
    except (torch.fx.proxy.TraceError, TypeError, ValueError, RuntimeError):  # control flow that depends on the data
        return []
    modules, calls = dict(model.named_modules()), [node for node in graph.nodes if node.op == "call_module"]
    once = {node.target for node in calls if [other.target for other in calls].count(node.target) == 1}
    pairs = [(node.args[0], node) for node in calls if isinstance(modules[node.target], NORMS) and node.target in once]
    return [
        (layer.target, norm.target)
        for layer, norm in pairs
        if layer.op == "call_module" and layer.target in once and len(layer.users) == 1
        and isinstance(modules[layer.target], CONVS | nn.Linear)
    ]  # fmt: skip


def fold(model: nn.Module) -> nn.Module:
    """The model, changed in place and in eval mode: each pair's layer takes the batch norm's scale and shift, and an
    Identity stands where the batch norm was. `spec` says `folded`, so that the store can build it again.

    Source: Jacob et al., arXiv 1712.05877, section 3.2; `torch.nn.utils.fusion` does the arithmetic.
    """
    model.eval()
    for layer_name, norm_name in foldable(model):
        layer, norm = model.get_submodule(layer_name), model.get_submodule(norm_name)
        fuse = fuse_linear_bn_eval if isinstance(layer, nn.Linear) else fuse_conv_bn_eval
        model.set_submodule(layer_name, fuse(layer, norm))
        model.set_submodule(norm_name, nn.Identity())
    if hasattr(model, "spec"):
        model.spec = {**model.spec, "folded": True}
    return model
