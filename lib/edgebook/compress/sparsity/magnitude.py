"""Unstructured pruning: single weights become zero. Zeros shrink what is stored; what they speed up is measured."""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgebook.errors import BadInput
from edgebook.tasks import Task
from edgebook.training.loop import train

KINDS = (nn.Conv1d, nn.Conv2d, nn.Linear, nn.RNNBase)
SCOPES, CHOICES = ("global", "layer"), ("magnitude", "random")
Masks = dict[str, Tensor]


def sparsify(
    model: nn.Module, task: Task, *, sparsity: float, scope: str = "global", choice: str = "magnitude",
    initial_sparsity: float = 0.0, begin: float = 0.0, end: float = 0.6, frequency: int = 20, **recipe: Any,
) -> nn.Module:  # fmt: skip
    """A trained copy with the share `sparsity` of its weights at zero, for good.

    While `recipe` (of `train`) runs, the share rises from `initial_sparsity` to `sparsity` by a cubic schedule, from the
    share `begin` of the steps to the share `end`, with new masks every `frequency` steps; without epochs it is cut at once.
    `choice`: the smallest weights go, or (the control) random ones; `scope`: ranked over the whole net or in every layer.
    Raises BadInput for what does not fit.
    Source: Zhu and Gupta 2017, To prune or not to prune, equation 1.
    """
    _check(sparsity, scope, choice)
    if not 0 <= initial_sparsity <= sparsity:
        raise BadInput(f"initial_sparsity = {initial_sparsity}; allowed: 0 to the final {sparsity}")
    if not 0 <= begin < end <= 1:
        raise BadInput(f"begin = {begin}, end = {end}; allowed: 0 <= begin < end <= 1, shares of the training steps")
    if frequency < 1:
        raise BadInput(f"frequency = {frequency}; allowed: 1 or more steps")
    if recipe["epochs"] == 0:
        return cut(model, task, sparsity=sparsity, scope=scope, choice=choice, seed=recipe.get("seed", 0))
    n_steps = recipe["epochs"] * -(-len(task.x_train) // recipe.get("batch_size", 128))
    first = int(begin * n_steps)
    last = max(int(end * n_steps), first + 1)
    renewed, masks = {*range(first, last, frequency), last - 1}, {}

    def hold(net: nn.Module, step: int) -> None:
        if step in renewed:
            share = scheduled(step + 1, first, last, initial_sparsity, sparsity)
            masks.update(choose(net, share, scope=scope, choice=choice, seed=recipe.get("seed", 0)))
        apply(net, masks)

    return train(model, task, after_step=hold, **recipe | {"keep": "last"})


def scheduled(step: int, begin: int, end: int, initial: float, final: float) -> float:
    """Sparsity at a step: `initial` up to `begin`, then cubic to `final`, which it has from `end` on."""
    left = min(1.0, max(0.0, 1 - (step - begin) / (end - begin)))
    return final + (initial - final) * left**3


def cut(
    model: nn.Module, task: Task, *, sparsity: float | None = None, scope: str = "global", choice: str = "magnitude",
    n_of_m: str | None = None, keep_dense: list[str] | None = None, threshold: float | None = None, seed: int = 0,
) -> nn.Module:  # fmt: skip
    """A copy with weights set to zero at once, not fine-tuned: a share of them, `n_of_m` ("2:4": the 2 largest of every 4
    in a row stay), or all below `threshold` in size. `keep_dense` names layers that N:M leaves alone. Raises BadInput, also
    for an N:M that does not divide a layer's inputs. Source of N:M: Mishra et al. 2021, Accelerating sparse neural networks.
    """
    if sum(given is not None for given in (sparsity, n_of_m, threshold)) != 1:
        raise BadInput("give one of sparsity, n_of_m and threshold")
    cut_model = copy.deepcopy(model)
    if n_of_m is not None:
        masks = n_of_m_masks(cut_model, n_of_m, keep_dense or [])
    elif threshold is not None:
        masks = {name: weight.abs() >= threshold for name, weight in weights(cut_model).items()}
    else:
        _check(sparsity, scope, choice)
        masks = choose(cut_model, sparsity, scope=scope, choice=choice, seed=seed)
    apply(cut_model, masks)
    return cut_model


def train_masked(model: nn.Module, task: Task, **recipe: Any) -> nn.Module:
    """A copy trained by `recipe` (of `train`) in which every weight that is zero stays zero."""
    masks = {name: weight != 0 for name, weight in weights(model).items()}
    return train(model, task, after_step=lambda net, step: apply(net, masks), **recipe | {"keep": "last"})


def train_from_rewound(sparse: nn.Module, task: Task, *, start: nn.Module, **recipe: Any) -> nn.Module:
    """The lottery ticket: the weights of `start` (the same net before training) under the zeros of `sparse`, trained.

    Source: Frankle and Carbin 2019, The lottery ticket hypothesis.
    """
    rewound = copy.deepcopy(start)
    apply(rewound, {name: weight != 0 for name, weight in weights(sparse).items()})
    return train_masked(rewound, task, **recipe)


def train_l1(model: nn.Module, task: Task, *, l1_weight: float, **recipe: Any) -> nn.Module:
    """A copy trained by `recipe` (of `train`) with `l1_weight` x the sum of all weights' sizes added to the loss; `cut` by a
    `threshold` comes after it. Raises BadInput for a weight of 0 or less. Source: Han et al. 2015, section 3.1.
    """
    if l1_weight <= 0:
        raise BadInput(f"l1_weight = {l1_weight}; allowed: > 0")
    smoothing = recipe.pop("label_smoothing", 0.0)

    def loss(net: nn.Module, x: Tensor, y: Tensor, step: int) -> Tensor:
        size = sum(weight.abs().sum() for weight in weights(net).values())
        return F.cross_entropy(net(x), y, label_smoothing=smoothing) + l1_weight * size

    return train(model, task, loss=loss, **recipe | {"keep": "last"})


def weights(model: nn.Module) -> dict[str, Tensor]:
    """The weights that may become zero, by name: all matrices and kernels, no biases, no batch norm."""
    layers = {name: module for name, module in model.named_modules() if isinstance(module, KINDS)}
    found = ((f"{name}.{key}", p) for name, layer in layers.items() for key, p in layer.named_parameters())
    return {name: parameter for name, parameter in found if parameter.ndim > 1}


def choose(model: nn.Module, sparsity: float, *, scope: str, choice: str, seed: int = 0) -> Masks:
    """Masks (True: stays) that leave the share `1 - sparsity`; weights that are zero already go first."""
    generator = torch.Generator().manual_seed(seed)
    sizes = {name: weight.detach().abs().cpu() for name, weight in weights(model).items()}
    if choice == "random":  # the same numbers at every call, so that random masks only grow
        sizes = {name: torch.rand(size.shape, generator=generator) * (size > 0) for name, size in sizes.items()}
    if scope == "layer":
        return {name: _largest(size.flatten(), sparsity).view(size.shape) for name, size in sizes.items()}
    together = _largest(torch.cat([size.flatten() for size in sizes.values()]), sparsity)
    parts = together.split([size.numel() for size in sizes.values()])
    return {name: part.view(size.shape) for (name, size), part in zip(sizes.items(), parts, strict=True)}


def _largest(sizes: Tensor, sparsity: float) -> Tensor:
    """Which of `sizes` stay: exactly round((1 - sparsity) x n), ties broken by place."""
    n_kept = round((1 - sparsity) * len(sizes))
    mask = torch.zeros(len(sizes), dtype=torch.bool)
    mask[sizes.argsort(descending=True, stable=True)[:n_kept]] = True
    return mask


def n_of_m_masks(model: nn.Module, n_of_m: str, keep_dense: list[str]) -> Masks:
    """Of every m weights in a row of a layer's inputs the n largest stay. A row of a convolution is its input channels at one
    place of the kernel, as in NVIDIA's apex (contrib.sparsity)."""
    parts = n_of_m.split(":")
    if len(parts) != 2 or not all(part.isdigit() for part in parts) or not 0 < int(parts[0]) < int(parts[1]):
        raise BadInput(f"n_of_m = {n_of_m!r}; allowed: n:m with 0 < n < m, such as 2:4")
    n, m = map(int, parts)
    own = weights(model)
    layers = {name: name.rpartition(".")[0] for name in own}
    if unknown := set(keep_dense) - set(layers.values()):
        raise BadInput(f"keep_dense: {', '.join(sorted(unknown))} is unknown; known: {', '.join(dict.fromkeys(layers.values()))}")
    known = {name: weight for name, weight in own.items() if layers[name] not in keep_dense}
    if bad := [f"{layers[name]} ({w.shape[1]} inputs)" for name, w in known.items() if w.shape[1] % m]:
        raise BadInput(f"n_of_m = {n_of_m}: {m} does not divide {', '.join(bad)}; name such layers in keep_dense")
    masks = {}
    for name, weight in known.items():
        inputs_last = weight.detach().abs().movedim(1, -1)
        rows = inputs_last.reshape(-1, m)
        mask = torch.zeros_like(rows, dtype=torch.bool).scatter_(1, rows.topk(n).indices, True)
        masks[name] = mask.view(inputs_last.shape).movedim(-1, 1)
    return masks


@torch.no_grad()
def apply(model: nn.Module, masks: Masks) -> None:
    """Set to zero, in place, what the masks leave out."""
    own = weights(model)
    for name, mask in masks.items():
        own[name].mul_(mask.to(own[name].device))


def stored(model: nn.Module) -> dict[str, Any]:
    """For a row's `extra`: the sparsity obtained, and `size_packed_bytes`: a bit for every weight, 4 bytes for every weight
    that is not zero, 4 for every other parameter and buffer. Storage only: no runtime here reads such a file.
    """
    own = weights(model)
    total, nonzero = sum(w.numel() for w in own.values()), sum(int((w != 0).sum()) for w in own.values())
    rest = sum(t.numel() for name, t in model.state_dict().items() if name not in own)
    packed = -(-total // 8) + 4 * (nonzero + rest)
    return {"sparsity": round(1 - nonzero / total, 4), "size_packed_bytes": packed, "packed": "storage only"}


def _check(sparsity: float, scope: str, choice: str) -> None:
    if not 0 <= sparsity < 1:
        raise BadInput(f"sparsity = {sparsity}; allowed: 0 <= sparsity < 1")
    if scope not in SCOPES:
        raise BadInput(f"scope = {scope!r}; allowed: {', '.join(SCOPES)}")
    if choice not in CHOICES:
        raise BadInput(f"choice = {choice!r}; allowed: {', '.join(CHOICES)}")
