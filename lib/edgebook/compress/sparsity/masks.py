"""Which weights become zero: masks by size, at random, or N of every M."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from edgebook.compress.sparsity import CHOICES, SCOPES
from edgebook.errors import BadInput
from edgebook.registry import pick

LAYERS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.Linear, nn.RNNBase)
Masks = dict[str, Tensor]  # by the weight's name, bool: True stays


def weights(model: nn.Module) -> dict[str, Tensor]:
    """The weights that may become zero, by name: all matrices and kernels, no biases, no batch norm."""
    layers = {name: module for name, module in model.named_modules() if isinstance(module, LAYERS)}
    parameters = ((f"{name}.{key}", p) for name, layer in layers.items() for key, p in layer.named_parameters())
    return {name: parameter for name, parameter in parameters if parameter.ndim > 1}


def magnitude(size: Tensor, generator: torch.Generator) -> Tensor:
    """The smallest weights become zero."""
    return size


def random(size: Tensor, generator: torch.Generator) -> Tensor:
    """The control: random weights become zero. The same numbers at every call of a seed, so that masks only grow."""
    return torch.rand(size.shape, generator=generator) * (size > 0)


def sparsity_masks(
    model: nn.Module, sparsity: float, *, scope: str = "global", choice: str = "magnitude", seed: int = 0
) -> Masks:
    """Masks that keep the share `1 - sparsity` of the weights; weights that are zero already are the first to go.

    Raises BadInput for a sparsity outside [0, 1), an unknown scope or choice.
    """
    check_sparsity(sparsity, scope, choice)
    score, generator = pick(CHOICES, choice, "choice"), torch.Generator().manual_seed(seed)
    scores = {name: score(weight.detach().abs().cpu(), generator) for name, weight in weights(model).items()}
    if scope == "layer":
        return {name: _largest(values.flatten(), sparsity).view(values.shape) for name, values in scores.items()}
    masks = _largest(torch.cat([values.flatten() for values in scores.values()]), sparsity)
    parts = masks.split([values.numel() for values in scores.values()])
    return {name: part.view(values.shape) for (name, values), part in zip(scores.items(), parts, strict=True)}


def check_sparsity(sparsity: float | None, scope: str, choice: str) -> None:
    """Raises BadInput for a sparsity outside [0, 1), an unknown scope or choice."""
    if sparsity is None or not 0 <= sparsity < 1:
        raise BadInput(f"sparsity = {sparsity}; allowed: 0 <= sparsity < 1")
    if scope not in SCOPES:
        raise BadInput(f"scope = {scope!r}; allowed: {', '.join(SCOPES)}")
    if choice not in CHOICES:
        raise BadInput(f"choice = {choice!r}; allowed: {', '.join(CHOICES)}")


def _largest(scores: Tensor, sparsity: float) -> Tensor:
    """Which of the scores stay: exactly round((1 - sparsity) * n), ties broken by position."""
    n_kept = round((1 - sparsity) * len(scores))
    mask = torch.zeros(len(scores), dtype=torch.bool)
    mask[scores.argsort(descending=True, stable=True)[:n_kept]] = True
    return mask


def threshold_masks(model: nn.Module, threshold: float) -> Masks:
    """Masks that keep the weights whose absolute value is at least `threshold`."""
    return {name: weight.detach().abs() >= threshold for name, weight in weights(model).items()}


def n_of_m_masks(model: nn.Module, n_of_m: str, keep_dense: list[str]) -> Masks:
    """Masks that keep the n largest of every m consecutive inputs of a layer ("2:4"); layers in `keep_dense` are left alone.

    The inputs of a convolution are its input channels at one position of the kernel, as in NVIDIA's apex (contrib.sparsity).
    Raises BadInput for a pattern or layer that does not exist, or where m does not divide a layer's inputs.
    Source: Mishra et al. 2021, Accelerating sparse deep neural networks.
    """
    n, m = _pattern(n_of_m)
    layers = {name: name.rpartition(".")[0] for name in weights(model)}
    if unknown := set(keep_dense) - set(layers.values()):
        raise BadInput(f"keep_dense: {', '.join(sorted(unknown))} is unknown; known: {', '.join(dict.fromkeys(layers.values()))}")
    sparse = {name: weight for name, weight in weights(model).items() if layers[name] not in keep_dense}
    if bad := [f"{layers[name]} ({w.shape[1]} inputs)" for name, w in sparse.items() if w.shape[1] % m]:
        raise BadInput(f"n_of_m = {n_of_m}: {m} does not divide {', '.join(bad)}; name such layers in keep_dense")
    masks = {}
    for name, weight in sparse.items():
        inputs_last = weight.detach().abs().movedim(1, -1)
        rows = inputs_last.reshape(-1, m)
        mask = torch.zeros_like(rows, dtype=torch.bool).scatter_(1, rows.topk(n).indices, True)
        masks[name] = mask.view(inputs_last.shape).movedim(-1, 1)
    return masks


def _pattern(n_of_m: str) -> tuple[int, int]:
    """(2, 4) for "2:4"."""
    n, _, m = n_of_m.partition(":")
    if not (n.isdigit() and m.isdigit() and 0 < int(n) < int(m)):
        raise BadInput(f"n_of_m = {n_of_m!r}; allowed: n:m with 0 < n < m, such as 2:4")
    return int(n), int(m)


@torch.no_grad()
def apply_masks(model: nn.Module, masks: Masks) -> None:
    """Set to zero, in place, what the masks leave out."""
    by_name = weights(model)
    for name, mask in masks.items():
        by_name[name].mul_(mask.to(by_name[name].device))


def storage(model: nn.Module) -> dict[str, Any]:
    """For a row's `extra`: the sparsity obtained, and `size_packed_bytes`: one bit per weight, 4 bytes per weight that is not
    zero and per other parameter or buffer. Storage only: no runtime here reads such a file.
    """
    by_name = weights(model)
    total, nonzero = sum(w.numel() for w in by_name.values()), sum(int((w != 0).sum()) for w in by_name.values())
    rest = sum(tensor.numel() for name, tensor in model.state_dict().items() if name not in by_name)
    packed = -(-total // 8) + 4 * (nonzero + rest)
    return {"sparsity": round(1 - nonzero / total, 4), "size_packed_bytes": packed, "packed": "storage only"}
