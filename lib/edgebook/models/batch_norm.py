"""Batch norm as scale and shift, and folded into the layer before it: for exporters, equalization and diagnosis alike."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from edgebook.models.module_calls import Call, module_calls, traced_calls

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
# f(a x) = a f(x) for a > 0; functions, and methods of tensors by their names
HOMOGENEOUS = (torch.relu, torch.relu_, nn.functional.relu, nn.functional.leaky_relu, nn.functional.prelu, "relu", "relu_")


def has_batch_norm(model: nn.Module) -> bool:
    """Whether any layer is a batch norm."""
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())


def foldable(model: nn.Module) -> list[tuple[str, str]]:
    """Names of (layer, batch norm) where the batch norm alone reads the layer's output, in the order in which they run.

    Found in the traced forward, or in the exported graph of one that cannot be traced, so that names and nesting of the
    modules do not matter; empty where neither works. A layer that is called several times counts when the same batch norm
    follows every call.
    """
    modules = dict(model.named_modules())
    if not any(isinstance(module, NORMS) for module in modules.values()):
        return []
    calls = module_calls(model)
    sources: dict[str, list[Call | None]] = {}
    for call in calls:
        if isinstance(modules[call.name], NORMS) and modules[call.name].running_mean is not None:
            sources.setdefault(call.name, []).append(call.source(calls))
    return [
        (layers[0].name, norm)
        for norm, layers in sources.items()
        if layers[0] is not None
        and all(layer is not None and layer.name == layers[0].name for layer in layers)
        and len(layers) == sum(call.name == layers[0].name for call in calls)
        and _takes(modules[layers[0].name], modules[norm])
    ]


def _takes(layer: nn.Module, norm: nn.Module) -> bool:
    """Whether the arithmetic of `torch.nn.utils.fusion` covers this pair."""
    if isinstance(layer, TRANSPOSED):
        return layer.groups == 1 and layer.out_channels == norm.num_features
    n_channels = layer.out_features if isinstance(layer, nn.Linear) else getattr(layer, "out_channels", None)
    return isinstance(layer, LAYERS) and n_channels == norm.num_features


def fold(model: nn.Module) -> nn.Module:
    """A copy in eval mode: each foldable pair's layer takes the batch norm's scale and shift, an Identity stands where the
    batch norm was. Its `spec` lists the wrapper `folded`.

    Source: Jacob et al., arXiv 1712.05877, section 3.2; `torch.nn.utils.fusion` does the arithmetic.
    """
    model = copy.deepcopy(model).eval()
    for layer_name, norm_name in foldable(model):
        layer, norm = model.get_submodule(layer_name), model.get_submodule(norm_name)
        if isinstance(layer, nn.Linear):
            folded = fuse_linear_bn_eval(layer, norm)
        else:
            folded = fuse_conv_bn_eval(layer, norm, transpose=isinstance(layer, TRANSPOSED))
        model.set_submodule(layer_name, folded)
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
    the last may be the next layer. A function that a positive factor passes through, such as `F.relu`, is stepped over. Empty
    where the forward cannot be traced.
    """
    modules, paths = dict(model.named_modules()), {}
    for node in traced_calls(model):
        if isinstance(modules[node.target], LAYERS):
            path, last = [], node
            while len(last.users) == 1:
                last = next(iter(last.users))
                if last.op == "call_module":
                    path.append(last.target)
                elif last.target not in HOMOGENEOUS:
                    break
                if path and isinstance(modules[path[-1]], LAYERS):
                    break
            paths[node.target] = path
    return paths
