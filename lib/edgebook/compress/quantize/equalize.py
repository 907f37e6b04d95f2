"""What helps a network that one scale per layer hurts, without training it: channels of equal range, corrected biases."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from edgebook import affine
from edgebook.errors import BadInput, Unsupported
from edgebook.models.batch_norm import LAYERS, NORMS, foldable, folded_weights, following
from edgebook.same_outputs import N_ITEMS, require_same
from edgebook.tasks.task import Task, draw_items
from edgebook.training.loop import infer

PASSED = (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.Identity, nn.Dropout)  # scaling a channel before them is scaling it behind them


@torch.no_grad()
def equalize(model: nn.Module, task: Task, *, rounds: int = 20) -> nn.Module:
    """A copy that computes the same and whose channels have equal ranges on both sides of every ReLU between two layers.

    A channel divided by s before a ReLU is multiplied by s after it; s = sqrt(range before / range after), with batch norm
    folded in. PReLU and leaky ReLU are such too, as modules and as functions. That the outputs stay is checked on training
    items. Raises Unsupported when no two layers are joined by a ReLU alone (ReLU6 clips, so it does not pass a scale), or when
    the outputs change (a module that is called twice).
    Source: Nagel et al. 2019, Data-free quantization, equation 11.
    """
    net = copy.deepcopy(model).eval()
    joined = pairs(net)
    if not joined:
        reason = "equalize: no two layers of this network are joined by a ReLU alone (ReLU6 does not pass a scale)"
        raise Unsupported(reason, code="structure")
    for _ in range(rounds):
        scales = [_even_out(net, *pair) for pair in joined]
        if max(scale.log().abs().max().item() for scale in scales) < 1e-3:
            break
    x, hint = task.x_train[:N_ITEMS], "a layer is used in a way that tracing missed"
    require_same("equalize", infer(model, x).numpy(), infer(net, x).numpy(), hint=hint)
    return net


def pairs(model: nn.Module) -> list[tuple[str, str | None, str]]:
    """(layer, its batch norm or None, next layer) for every two layers joined only by modules that pass a scale."""
    modules, joined = dict(model.named_modules()), []
    for name, path in following(model).items():
        if not path or not isinstance(modules[path[-1]], LAYERS):
            continue
        norm = path[0] if isinstance(modules[path[0]], NORMS) else None
        between = path[1:-1] if norm else path[:-1]
        if all(isinstance(modules[inner], PASSED) for inner in between):
            joined.append((name, norm, path[-1]))
    return joined


def _even_out(net: nn.Module, first: str, norm: str | None, second: str) -> Tensor:
    """Rescale one pair in place; the scales, (channels,)."""
    before: Any = net.get_submodule(first)
    after: Any = net.get_submodule(second)
    weights = folded_weights(net)
    ranges = weights[first].abs().flatten(1).amax(1)
    groups = 1 if isinstance(after, nn.Linear) else after.groups
    by_input = weights[second].abs() if groups > 1 else weights[second].abs().transpose(0, 1)
    next_ranges = by_input.flatten(1).amax(1)
    if (groups > 1 and groups != after.in_channels) or len(ranges) != len(next_ranges):
        return torch.ones(1)
    both = (ranges > 0) & (next_ranges > 0)
    s = torch.where(both, (ranges / next_ranges.clamp(min=1e-12)).sqrt(), torch.ones_like(ranges)).clamp(1e-3, 1e3)
    scaled: Any = net.get_submodule(norm) if norm else before
    scaled.weight.div_(s.reshape(-1, *[1] * (scaled.weight.ndim - 1)))
    if scaled.bias is not None:
        scaled.bias.div_(s)
    shape = (-1, 1) if groups > 1 else (1, -1)
    after.weight.mul_(s.reshape(*shape, *[1] * (after.weight.ndim - 2)))
    return s


@torch.no_grad()
def correct_bias(
    model: nn.Module, task: Task, *, bits: int = 8, granularity: str = "tensor", n_items: int = 256, seed: int = 0
) -> nn.Module:
    """A copy whose biases compensate the mean error that rounding the (folded) weights causes, layer by layer, measured on
    `n_items` training items. Raises BadInput without items. Source: Nagel et al. 2019, section 4.2 (empirical).
    """
    if n_items < 1:
        raise BadInput(f"n_items = {n_items}; allowed: 1 or more")
    net, norm_of = copy.deepcopy(model).eval(), dict(foldable(model))
    items = draw_items(len(task.x_train), n_items, seed)
    inputs = _layer_inputs(net, task.x_train[items])
    for name, w in folded_weights(model).items():
        error = affine.round_trip(w, bits=bits, axis=0 if granularity == "channel" else None) - w
        shift = _mean_output(net.get_submodule(name), error, inputs[name])
        corrected: Any = net.get_submodule(norm_of.get(name, name))
        if corrected.bias is not None:
            corrected.bias.sub_(shift)
    return net


def _layer_inputs(net: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """The input of every layer for the items `x`."""
    inputs: dict[str, Tensor] = {}
    layers = [(name, layer) for name, layer in net.named_modules() if isinstance(layer, LAYERS)]

    def keep(name: str) -> Callable[[nn.Module, tuple], None]:
        return lambda module, args: inputs.update({name: args[0].float()})

    hooks = [layer.register_forward_pre_hook(keep(name)) for name, layer in layers]
    infer(net, x, batch_size=len(x))
    for hook in hooks:
        hook.remove()
    return inputs


def _mean_output(layer: Any, weight: Tensor, x: Tensor) -> Tensor:
    """The layer's output with another weight and no bias, mean over all but the channels, (C,)."""
    other = copy.deepcopy(layer)
    other.weight.copy_(weight)
    other.bias = None
    y = other(x)
    return y.mean(0) if y.ndim == 2 else y.transpose(0, 1).flatten(1).mean(1)
