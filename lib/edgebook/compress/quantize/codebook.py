"""Weight sharing: every layer keeps a few values and one index per weight. `packed` files store them so."""

from __future__ import annotations

import copy
from functools import partial

import torch
from torch import Tensor, nn

from edgebook import affine
from edgebook.compress.quantize import LEVELS
from edgebook.compress.quantize.levels import Levels
from edgebook.compress.quantize.straight_through import train_rounded
from edgebook.errors import BadInput
from edgebook.registry import pick
from edgebook.tasks.task import Task
from edgebook.training.finetune import finetune
from edgebook.training.recipe import Recipe
from edgebook.training.teacher import Teacher

FLOAT, MOST_BITS = 32, 8
MOST_LEVELS = 2**MOST_BITS
Clusters = dict[str, tuple[Tensor, int]]  # weight name -> (index of each weight's value, number of values)


def codebook(model: nn.Module, task: Task, *, bits: int | dict[str, int], levels: str = "kmeans") -> nn.Module:
    """A copy whose weights take at most 2^bits values per layer (linear: per channel), not yet fine-tuned.

    bits: 1 to 8 for every layer, or one number per named weight; 32 and unnamed weights stay as they are. levels: kmeans
    (1-D Lloyd), log2 (zero and signed powers of two), linear (an even grid per output channel) or kmeans_channel (centres of
    the layer under a scale per output channel). Values of the first three are float16 numbers; biases and batch norm stay
    float. Raises BadInput for bits out of range, an unknown weight or NaN.
    Sources: Han et al. 2016, Deep compression; Zhou et al. 2017, INQ (powers of two).
    """
    rule: Levels = pick(LEVELS, levels, "levels")
    shared = copy.deepcopy(model)
    by_name = dict.fromkeys(weight_names(model), bits) if isinstance(bits, int) else bits
    for name, n_bits in by_name.items():
        if name not in weight_names(model):
            raise BadInput(f"bits: {name!r} is no weight; known: {', '.join(weight_names(model))}")
        allowed = isinstance(n_bits, int) and not isinstance(n_bits, bool) and rule.fewest_bits <= n_bits <= MOST_BITS
        if n_bits != FLOAT and not allowed:
            raise BadInput(f"bits = {n_bits!r} for {name}; allowed: {rule.fewest_bits} to 8 ({levels}), 32 for float")
        weight = shared.get_parameter(name)
        affine.ranges(weight.data)  # refuses NaN
        weight.data = weight.data if n_bits == FLOAT else rule.round(weight.data, n_bits)
    return shared


def weight_names(model: nn.Module) -> list[str]:
    """Parameters with two or more dimensions: convolutions, dense and recurrent layers."""
    return [name for name, parameter in model.named_parameters() if parameter.ndim > 1]


def clusters(model: nn.Module) -> Clusters:
    """The shared values of every weight that has at most 256 distinct ones, and fewer than it has elements."""
    shared = {}
    for name in weight_names(model):
        values, index = model.get_parameter(name).data.flatten().unique(return_inverse=True)
        if len(values) <= MOST_LEVELS and len(values) < len(index):
            shared[name] = (index, len(values))
    return shared


def finetune_codebook(
    model: nn.Module, task: Task, recipe: Recipe, *, teacher: Teacher | None = None, soft_weight: float = 0.0
) -> nn.Module:
    """The model with its centres, and all that is not shared, trained; each weight keeps its centre.

    A centre's gradient is the sum over its weights. The outputs of a `teacher` (the float model) get `soft_weight` of the
    loss. Source: Han et al. 2016, Deep compression, section 3.3.
    """
    shared = clusters(model)

    def sum_gradients(net: nn.Module, step: int) -> None:
        for name, (index, n) in shared.items():
            gradient = net.get_parameter(name).grad
            place = index.to(gradient.device)
            total = torch.zeros(n, device=place.device).index_add_(0, place, gradient.flatten())
            gradient.copy_(total[place].view_as(gradient))

    hooks = {"before_step": sum_gradients, "after_step": lambda net, step: average_clusters(net, shared)}
    net = finetune(model, task, recipe, teacher=teacher, soft_weight=soft_weight, **hooks)
    average_clusters(net, shared, dtype=torch.float16)
    return net


@torch.no_grad()
def average_clusters(net: nn.Module, shared: Clusters, *, dtype: torch.dtype = torch.float32) -> None:
    """Give all weights of a cluster their mean, as a number of `dtype`, in place: float rounding would let them drift apart."""
    for name, (index, n) in shared.items():
        weight = net.get_parameter(name)
        place = index.to(weight.device)
        count = torch.bincount(place, minlength=n)
        mean = torch.zeros(n, device=place.device).index_add_(0, place, weight.flatten()) / count
        weight.copy_(mean.to(dtype).float()[place].view_as(weight))


def finetune_levels(
    model: nn.Module,
    task: Task,
    recipe: Recipe,
    *,
    bits: int,
    levels: str,
    teacher: Teacher | None = None,
    soft_weight: float = 0.0,
    temperature: float = 4.0,
) -> nn.Module:
    """The model trained with every weight rounded at every step to levels that follow the weights, so that a weight may
    change its level: log2, linear, or the centres of k-means.

    The outputs of a `teacher` (the float model) get `soft_weight` of the loss. Raises BadInput for bits outside 2..8. Source:
    Bengio et al. 2013, Estimating or propagating gradients through stochastic neurons (straight-through).
    """
    if not 2 <= bits <= MOST_BITS:
        raise BadInput(f"bits = {bits}; allowed: 2 to 8")
    rule: Levels = pick(LEVELS, levels, "levels")
    rounding = {name: partial(rule.in_training, bits=bits) for name in weight_names(model)}
    soft = {"teacher": teacher, "soft_weight": soft_weight, "temperature": temperature}
    return train_rounded(model, task, recipe, rounding=rounding, **soft)
