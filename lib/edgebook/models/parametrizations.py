"""Weights that a network computes from other parameters (weight norm, spectral norm): trained as they are, then made plain."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize
from torch.nn.utils.spectral_norm import SpectralNorm, remove_spectral_norm
from torch.nn.utils.weight_norm import WeightNorm, remove_weight_norm

from edgebook.same_outputs import require_same

N_CHECKED = 4


def with_parametrizations(model: nn.Module) -> nn.Module:
    """The same model; weight norm and spectral norm of PyTorch's older hooks become parametrizations: those can be copied."""
    for module in list(model.modules()):
        for hook in list(module._forward_pre_hooks.values()):
            if isinstance(hook, WeightNorm):
                _replace_weight_norm(module, hook)
            elif isinstance(hook, SpectralNorm):
                _replace_spectral_norm(module, hook)
    return model


@torch.no_grad()
def _replace_weight_norm(module: nn.Module, hook: Any) -> None:
    scale, direction = getattr(module, f"{hook.name}_g"), getattr(module, f"{hook.name}_v")
    remove_weight_norm(module, hook.name)
    parametrizations.weight_norm(module, hook.name, hook.dim)
    inner: Any = module.parametrizations[hook.name]
    inner.original0.copy_(scale)
    inner.original1.copy_(direction)


@torch.no_grad()
def _replace_spectral_norm(module: nn.Module, hook: Any) -> None:
    original, u, v = (getattr(module, f"{hook.name}_{part}") for part in ("orig", "u", "v"))
    remove_spectral_norm(module, hook.name)
    parametrizations.spectral_norm(module, hook.name, hook.n_power_iterations, hook.eps, hook.dim)
    inner: Any = module.parametrizations[hook.name]
    inner.original.copy_(original)
    inner[0]._u.copy_(u)
    inner[0]._v.copy_(v)


def is_parametrized(model: nn.Module) -> bool:
    """Whether any weight is computed from other parameters."""
    return any(parametrize.is_parametrized(module) for module in model.modules())


def plain(model: nn.Module) -> nn.Module:
    """A copy in eval mode whose weights are plain parameters with the values that they have in eval mode; the model itself
    where it has no parametrization. Its `spec` lists the wrapper `plain`. Raises Unsupported where the outputs of random items
    change, which needs a `spec`.
    """
    if not is_parametrized(model):
        return model
    net: Any = copy.deepcopy(model).eval()
    for module in list(net.modules()):
        if parametrize.is_parametrized(module):
            _make_plain(module)
    if hasattr(net, "spec"):
        x = torch.randn(N_CHECKED, *net.spec["input_shape"], generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            require_same("plain weights", copy.deepcopy(model).eval()(x).numpy(), net(x).numpy())
        net.spec = {**net.spec, "wrappers": [*net.spec["wrappers"], {"name": "plain"}]}
    return net


def _make_plain(module: Any) -> None:
    """In place. PyTorch's own function takes the weight from the module's class, which copies of the module share."""
    values = {name: getattr(module, name).detach().clone() for name in module.parametrizations}
    module.__class__ = parametrize.type_before_parametrizations(module)
    del module.parametrizations
    for name, value in values.items():
        setattr(module, name, nn.Parameter(value))
