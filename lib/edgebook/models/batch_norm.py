"""Batch norm as scale and shift, and folded into the layer before it: for exporters, equalization and diagnosis alike."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.proxy import TraceError
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def foldable(model: nn.Module) -> list[tuple[str, str]]:
    """Names of (layer, batch norm) where the batch norm alone reads the layer's output, in the order in which they run.

    Found by tracing, so names and nesting of the modules do not matter; empty where the forward cannot be traced.
    """
    modules = dict(model.named_modules())
    if not any(isinstance(module, NORMS) for module in modules.values()):
        return []
    calls = _calls(model)
    targets = [node.target for node in calls]
    once = {target for target in targets if targets.count(target) == 1}
    norms = [node for node in calls if isinstance(modules[node.target], NORMS) and node.target in once]
    return [
        (layer.target, norm.target)
        for norm in norms
        if (layer := norm.args[0]).op == "call_module" and layer.target in once and len(layer.users) == 1
        if isinstance(modules[layer.target], LAYERS) and modules[norm.target].running_mean is not None
    ]


def fold(model: nn.Module) -> nn.Module:
    """A copy in eval mode: each foldable pair's layer takes the batch norm's scale and shift, an Identity stands where the
    batch norm was. Its `spec` lists the wrapper `folded`.

    Source: Jacob et al., arXiv 1712.05877, section 3.2; `torch.nn.utils.fusion` does the arithmetic.
    """
    model = copy.deepcopy(model).eval()
    for layer_name, norm_name in foldable(model):
        layer, norm = model.get_submodule(layer_name), model.get_submodule(norm_name)
        fuse = fuse_linear_bn_eval if isinstance(layer, nn.Linear) else fuse_conv_bn_eval
        model.set_submodule(layer_name, fuse(layer, norm))
        model.set_submodule(norm_name, nn.Identity())
    if hasattr(model, "spec"):
        model.spec = {**model.spec, "wrappers": [*model.spec["wrappers"], {"name": "folded"}]}
    return model


@torch.no_grad()
def scale_and_shift(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """What batch norm in eval mode multiplies each channel by, and then adds, both (C,)."""
    scale = (norm.running_var + norm.eps).rsqrt()
    scale = scale if norm.weight is None else norm.weight * scale
    shift = -norm.running_mean * scale
    return scale, shift if norm.bias is None else norm.bias + shift


@torch.no_grad()
def without_statistics(model: nn.Module) -> nn.Module:
    """A copy in eval mode that computes the same, its batch norms with mean 0 and variance 1 - eps: weight and bias hold all."""
    model = copy.deepcopy(model).eval()
    for norm in model.modules():
        if isinstance(norm, NORMS) and norm.affine and norm.running_mean is not None:
            scale, shift = scale_and_shift(norm)
            norm.weight.copy_(scale)
            norm.bias.copy_(shift)
            norm.running_mean.zero_()
            norm.running_var.fill_(1 - norm.eps)
    return model


@torch.no_grad()
def folded_weights(model: nn.Module) -> dict[str, Tensor]:
    """Layer name -> a copy of its weight with the batch norm behind it folded in, output channels first: as files have it."""
    norm_of, weights = dict(foldable(model)), {}
    for name, layer in model.named_modules():
        if isinstance(layer, LAYERS):
            weight = layer.weight.detach().clone()
            if name in norm_of:
                scale, _ = scale_and_shift(model.get_submodule(norm_of[name]))
                weight = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
            weights[name] = weight
    return weights


def following(model: nn.Module) -> dict[str, list[str]]:
    """Layer name -> names of the modules that its output goes through, one after the other, as long as nothing else reads it;
    the last may be the next layer. Empty where the forward cannot be traced.
    """
    modules, paths = dict(model.named_modules()), {}
    for node in _calls(model):
        if isinstance(modules[node.target], LAYERS):
            path, last = [], node
            while len(last.users) == 1 and (last := next(iter(last.users))).op == "call_module":
                path.append(last.target)
                if isinstance(modules[last.target], LAYERS):
                    break
            paths[node.target] = path
    return paths


def _calls(model: nn.Module) -> list[Any]:
    """The calls of modules in the traced forward, in order; none where its control flow depends on the data."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = fx.symbolic_trace(model).graph
    except (TraceError, TypeError, ValueError, RuntimeError):
        return []
    return [node for node in graph.nodes if node.op == "call_module"]
