"""Weight sharing: every layer keeps a few values and an index for each weight. `packed` files store them so."""

from __future__ import annotations

import copy
from functools import partial

import torch
from torch import Tensor, nn

from edgebook import affine
from edgebook.compress.quantize.straight_through import train_rounded
from edgebook.errors import BadInput, pick
from edgebook.tasks import Task
from edgebook.training.finetune import finetune

MOST_LEVELS = 256
N_BINS = 1024  # of a histogram of weights
LLOYD_STEPS = 6  # that each step of training can afford


def codebook(model: nn.Module, task: Task, *, bits: int | dict[str, int], levels: str = "kmeans") -> nn.Module:
    """A copy whose weights take at most 2^bits values a layer (linear: a channel), not yet fine-tuned.

    bits: 1 to 8 for every layer, or one for each named weight; 32 and unnamed weights stay as they are. levels: kmeans
    (1-D Lloyd), log2 (zero and signed powers of two), linear (an even grid for each output
    channel). Values are float16 numbers. Biases and batch norm stay float. Raises BadInput for bits out of range, NaN.
    Source: Han et al. 2016, Deep Compression; Zhou et al. 2017, INQ (powers of two).
    """
    snap = pick(LEVELS, levels, "levels")
    shared = copy.deepcopy(model)
    named = dict.fromkeys(weight_names(model), bits) if isinstance(bits, int) else bits
    for name, own in named.items():
        if name not in weight_names(model):
            raise BadInput(f"bits: {name!r} is no weight; known: {', '.join(weight_names(model))}")
        low = 2 if levels != "kmeans" else 1
        if own != 32 and (isinstance(own, bool) or not isinstance(own, int) or not low <= own <= 8):
            raise BadInput(f"bits = {own!r} for {name}; allowed: {low} to 8 ({levels}), 32 for float")
        weight = shared.get_parameter(name)
        affine.ranges(weight.data)  # refuses NaN
        weight.data = weight.data if own == 32 else snap(weight.data, own)
    return shared


def weight_names(model: nn.Module) -> list[str]:
    """Parameters with two or more dimensions: convolutions, dense and recurrent layers."""
    return [name for name, parameter in model.named_parameters() if parameter.ndim > 1]


def kmeans(w: Tensor, bits: int, *, steps: int = 100) -> Tensor:
    """The tensor with every value replaced by its centre: Lloyd's algorithm in one dimension, from evenly spread centres
    and from centres spread by density, whichever ends nearer to the weights; float16 centres.
    """
    flat = w.flatten().double()
    if len(values := flat.unique()) <= 2**bits:
        return _snapped(flat, values).view_as(w)
    even = torch.linspace(flat.min(), flat.max(), 2**bits, dtype=torch.double)
    found = [_snapped(flat, _lloyd(flat, start, steps)) for start in (even, _by_density(flat, 2**bits))]
    return min(found, key=lambda own: (own - flat).square().sum()).view_as(w)


def _by_density(flat: Tensor, n: int) -> Tensor:
    """Centres as dense as the cube root of the values' density, the best for many centres. Source: Panter and Dite 1951."""
    low, high = flat.min(), flat.max()
    dense = torch.histc(flat.float(), N_BINS).double().pow(1 / 3).cumsum(0)
    places = torch.searchsorted(dense, (torch.arange(n) + 0.5) / n * dense[-1])
    return low + (places + 0.5) / N_BINS * (high - low)


def _lloyd(flat: Tensor, centres: Tensor, steps: int) -> Tensor:
    for _ in range(steps):
        index = nearest(flat, centres)
        count = torch.bincount(index, minlength=len(centres))
        total = torch.bincount(index, flat, minlength=len(centres))
        moved = torch.where(count > 0, total / count.clamp(min=1), centres).sort().values
        if torch.equal(moved, centres):
            break
        centres = moved
    return centres


def _snapped(flat: Tensor, centres: Tensor) -> Tensor:
    centres = centres.half().double()
    return centres[nearest(flat, centres)].float()


def nearest(values: Tensor, centres: Tensor) -> Tensor:
    """Index of the nearest of the sorted centres, (n,)."""
    return torch.bucketize(values, (centres[1:] + centres[:-1]) / 2)


def log2(w: Tensor, bits: int) -> Tensor:
    """Zero and 2^(bits - 1) - 1 powers of two of each sign; the largest is the one nearest to the largest weight."""
    if not w.abs().max() > 0:
        return w.clone()
    top = torch.floor(torch.log2(4 * w.abs().max() / 3))
    powers = 2.0 ** (top - torch.arange(2 ** (bits - 1) - 1))
    powers = powers[powers >= 2.0**-24]  # float16 ends there
    centres = torch.cat([-powers, torch.zeros(1), powers.flip(0)])
    return centres[nearest(w.flatten(), centres)].view_as(w)


def linear(w: Tensor, bits: int) -> Tensor:
    """Even steps from -top to top for each output channel (axis 0), with a float16 scale."""
    top = affine.limits(bits, symmetric=True)[1]
    flat = w.flatten(1)
    scale = (flat.abs().amax(1, keepdim=True) / top).half().float().clamp(min=2.0**-14)
    return ((flat / scale).round().clamp(-top, top) * scale).view_as(w)


LEVELS = {"kmeans": kmeans, "linear": linear, "log2": log2}


def clusters(model: nn.Module) -> dict[str, tuple[Tensor, int]]:
    """Weight name -> (index of each weight's value, number of values), for weights of at most 256 distinct values."""
    found = {}
    for name in weight_names(model):
        values, index = model.get_parameter(name).data.flatten().unique(return_inverse=True)
        if len(values) <= MOST_LEVELS and len(values) < len(index):
            found[name] = (index, len(values))
    return found


def finetune_codebook(
    model: nn.Module, task: Task, *, teacher: nn.Module | None = None, soft_weight: float = 0.0, **recipe
) -> nn.Module:  # fmt: skip
    """The model with its centres (and all that is not shared) trained; which weight has which centre stays. A centre's
    gradient is the sum over its weights. The outputs of a `teacher` (the float model) get `soft_weight` of the loss.
    `recipe` goes to `train`. Source: Han et al. 2016, section 3.3.
    """
    shared = clusters(model)

    def sum_gradients(net: nn.Module, step: int) -> None:
        for name, (index, n) in shared.items():
            weight, place = net.get_parameter(name), index.to(net.get_parameter(name).device)
            total = torch.zeros(n, device=place.device).index_add_(0, place, weight.grad.flatten())
            weight.grad.copy_(total[place].view_as(weight))

    hooks = {"before_step": sum_gradients, "after_step": partial(project, shared=shared)}
    net = finetune(model, task, teacher=teacher, soft_weight=soft_weight, **hooks, **recipe)
    project(net, 0, shared=shared, half=True)
    return net


@torch.no_grad()
def project(net: nn.Module, step: int, *, shared: dict[str, tuple[Tensor, int]], half: bool = False) -> None:
    """Give all weights of a centre their mean: float rounding would let them drift apart."""
    for name, (index, n) in shared.items():
        weight, place = net.get_parameter(name), index.to(net.get_parameter(name).device)
        count = torch.bincount(place, minlength=n)
        mean = torch.zeros(n, device=place.device).index_add_(0, place, weight.flatten()) / count
        weight.copy_((mean.half().float() if half else mean)[place].view_as(weight))


def finetune_levels(
    model: nn.Module, task: Task, *, bits: int, levels: str, teacher: nn.Module | None = None, soft_weight: float = 0.0, **recipe
) -> nn.Module:  # fmt: skip
    """The model trained with every weight rounded at every step to levels that follow the weights, so that a weight may
    change its level: log2, linear, or the centres of k-means. The outputs of a `teacher` (the float model) get `soft_weight`
    of the loss. `recipe` goes to `train`. Raises BadInput for bits outside 2..8. Source: Bengio et al. 2013,
    straight-through.
    """
    if not 2 <= bits <= 8:
        raise BadInput(f"bits = {bits}; allowed: 2 to 8")
    snap = pick(LEVELS | {"kmeans": partial(kmeans, steps=LLOYD_STEPS)}, levels, "levels")
    rounding = {name: partial(snap, bits=bits) for name in weight_names(model)}
    return train_rounded(model, task, levels=rounding, teacher=teacher, soft_weight=soft_weight, **recipe)
