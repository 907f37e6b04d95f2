"""What helps a net that few bits hurt, without training it: even channels, corrected biases."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from edgebook import affine
from edgebook.errors import BadInput, Unsupported
from edgebook.models import batch_norm
from edgebook.tasks.task import Task
from edgebook.training.loop import infer

PASSED = (nn.ReLU, nn.Identity, nn.Dropout, nn.LeakyReLU)  # scaling a channel before them is scaling it behind them


@torch.no_grad()
def equalize(model: nn.Module, task: Task, *, rounds: int = 20) -> nn.Module:
    """A copy that computes the same and whose channels have the same range on both sides of every ReLU between two layers.

    A channel divided by s before a ReLU is multiplied by s behind it; s = sqrt(range before / range behind), batch norm
    counted in. Raises Unsupported when no two layers are joined by a ReLU alone (ReLU6 clips, so it does not pass a
    scale). Source: Nagel et al. 2019, Data-free quantization, equation 11.
    """
    net = copy.deepcopy(model).eval()
    found = pairs(net)
    if not found:
        raise Unsupported("equalize: no two layers of this net are joined by a ReLU alone (ReLU6 does not pass a scale)")
    for _ in range(rounds):
        scales = [_even_out(net, *pair) for pair in found]
        if max((scale.log().abs().max().item() for scale in scales), default=0) < 1e-3:
            break
    return net


def pairs(model: nn.Module) -> list[tuple[str, str | None, str]]:
    """(layer, its batch norm or None, next layer) for every two layers joined by scale-passing modules alone."""
    modules, found = dict(model.named_modules()), []
    for name, path in batch_norm.following(model).items():
        if not path or not isinstance(modules[path[-1]], batch_norm.LAYERS):
            continue
        norm = path[0] if isinstance(modules[path[0]], batch_norm.NORMS) else None
        between = path[1:-1] if norm else path[:-1]
        if all(isinstance(modules[one], PASSED) for one in between):
            found.append((name, norm, path[-1]))
    return found


def _even_out(net: nn.Module, first: str, norm: str | None, second: str) -> Tensor:
    """Rescale one pair in place; the scales, (channels,)."""
    before, behind, weights = net.get_submodule(first), net.get_submodule(second), batch_norm.folded_weights(net)
    r1 = weights[first].abs().flatten(1).amax(1)
    depthwise = getattr(behind, "groups", 1) > 1
    w2 = weights[second]
    r2 = w2.abs().flatten(1).amax(1) if depthwise else w2.abs().transpose(0, 1).flatten(1).amax(1)
    if (depthwise and behind.groups != behind.in_channels) or len(r1) != len(r2):
        return torch.ones(1)
    s = torch.where((r1 > 0) & (r2 > 0), (r1 / r2.clamp(min=1e-12)).sqrt(), torch.ones_like(r1)).clamp(1e-3, 1e3)
    for part in [net.get_submodule(norm)] if norm else [before]:
        part.weight.div_(s.reshape(-1, *[1] * (part.weight.ndim - 1)))
        if part.bias is not None:
            part.bias.div_(s)
    behind.weight.mul_(s.reshape(-1 if depthwise else 1, 1 if depthwise else -1, *[1] * (behind.weight.ndim - 2)))
    return s


@torch.no_grad()
def correct_bias(
    model: nn.Module, task: Task, *, bits: int = 8, granularity: str = "tensor", n_items: int = 256, seed: int = 0
) -> nn.Module:
    """A copy whose biases take back the mean error that rounding the (folded) weights causes, layer by layer, measured on
    `n_items` training items. Raises BadInput without items. Source: Nagel et al. 2019, section 4.2 (empirical).
    """
    if n_items < 1:
        raise BadInput(f"n_items: {n_items}; at least 1 item is needed")
    net, behind = copy.deepcopy(model).eval(), dict(batch_norm.foldable(model))
    order = torch.randperm(len(task.x_train), generator=torch.Generator().manual_seed(seed))
    inputs, hooks = {}, []
    for name, layer in net.named_modules():
        if isinstance(layer, batch_norm.LAYERS):
            hooks.append(layer.register_forward_pre_hook(lambda m, args, name=name: inputs.update({name: args[0]})))
    infer(net, task.x_train[order[:n_items]], batch_size=n_items)
    for hook in hooks:
        hook.remove()
    for name, w in batch_norm.folded_weights(model).items():
        error = affine.round_trip(w, bits=bits, axis=0 if granularity == "channel" else None) - w
        shift = _mean_output(net.get_submodule(name), error, inputs[name].float())
        target = net.get_submodule(behind[name]) if name in behind else net.get_submodule(name)
        if target.bias is not None:
            target.bias.sub_(shift)
    return net


def _mean_output(layer: nn.Module, weight: Tensor, x: Tensor) -> Tensor:
    """The layer's output with another weight and no bias, mean over all but the channels, (C,)."""
    twin = copy.deepcopy(layer)
    twin.weight.copy_(weight)
    twin.bias = None
    y = twin(x)
    return y.mean(0) if y.ndim == 2 else y.transpose(0, 1).flatten(1).mean(1)


REPAIRS = {"correct_bias": correct_bias, "equalize": equalize}
REPAIRED = {"correct_bias": "biases corrected", "equalize": "channels equalized"}  # what to call the network then
