"""How a network differs from what its builder makes: the sizes of its layers and the shapes of its tensors, as plain data."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

SIZES = (
    "in_channels",
    "out_channels",
    "groups",
    "in_features",
    "out_features",
    "num_features",
    "input_size",
    "hidden_size",
    "num_channels",
    "normalized_shape",
)


def describe(model: nn.Module) -> dict[str, Any]:
    """Sizes of every module that has some, shapes of every parameter and buffer:

    `{"sizes": {"conv1": {"in_channels": 1, "out_channels": 13, "groups": 1}, ...}, "shapes": {"conv1.weight": [13, 1, 3], ...}}`
    """
    sizes = {}
    for name, module in model.named_modules():
        has = {size: getattr(module, size) for size in SIZES if isinstance(getattr(module, size, None), int | tuple)}
        if has:
            sizes[name] = has
    return {"sizes": sizes, "shapes": {name: list(tensor.shape) for name, tensor in model.state_dict().items()}}


def resize(model: nn.Module, structure: dict[str, Any]) -> nn.Module:
    """The same model, its modules and tensors brought to the structure that `describe` gave; values are undefined where a shape
    changes.
    """
    for name, sizes in structure["sizes"].items():
        module = model.get_submodule(name)
        for size, value in sizes.items():
            setattr(module, size, tuple(value) if isinstance(value, list) else value)
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    for name, shape in structure["shapes"].items():
        if name in tensors and list(tensors[name].shape) != list(shape):
            tensors[name].data = torch.empty(shape, dtype=tensors[name].dtype)
    return model
