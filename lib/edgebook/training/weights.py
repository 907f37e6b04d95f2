"""What a network computes, as one hash."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterator
from typing import Any

import torch
from torch import fx, nn

INTERNAL = vars(nn.Module()).keys()  # PyTorch's own attributes
LABELS = {"history", "key", "seconds", "spec"}  # what the store writes on a network
NOT_PLAIN = "<not plain>"


def weights_hash(model: nn.Module) -> str:
    """sha256 of what a network computes and how it would train: module classes and their settings, names, shapes, types and
    bytes of all tensors, which are shared and which are trained. The same in every process.
    """
    digest = hashlib.sha256()
    for name, module in model.named_modules():
        _add(digest, "module", name, f"{type(module).__module__}.{type(module).__qualname__}", _settings(module))
        if isinstance(module, fx.GraphModule):
            _add(digest, "graph", module.code)
    numbers: dict[int, int] = {}  # which names are the same tensor
    for name, tensor in _tensors(model):
        first = numbers.setdefault(id(tensor), len(numbers))
        _add(digest, "tensor", name, str(tensor.dtype), list(tensor.shape), tensor.requires_grad, first)
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _tensors(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters and buffers, also those that a state dict leaves out, each under all of its names."""
    yield from model.named_parameters(remove_duplicate=False)
    yield from model.named_buffers(remove_duplicate=False)


def _settings(module: nn.Module) -> dict[str, Any]:
    """A module's own attributes as plain data: sizes, strides, functions by name. What is none of these is left out."""
    names = vars(module).keys() - INTERNAL - LABELS
    settings = {name: _plain(vars(module)[name]) for name in sorted(names)}
    return {name: value for name, value in settings.items() if value is not NOT_PLAIN}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return NOT_PLAIN if NOT_PLAIN in (inner := [_plain(item) for item in value]) else inner
    if isinstance(value, torch.dtype | torch.device):
        return str(value)
    if inspect.isroutine(value) or inspect.isclass(value):
        return f"{value.__module__}.{value.__qualname__}"
    return value if value is None or isinstance(value, bool | int | float | str) else NOT_PLAIN


def _add(digest: Any, *parts: Any) -> None:
    """Parts with their limits, so that no two sequences give the same bytes."""
    text = json.dumps(parts, sort_keys=True).encode()
    digest.update(len(text).to_bytes(8, "big") + text)
