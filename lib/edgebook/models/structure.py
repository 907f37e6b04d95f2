"""How a network differs from what its builder makes: the sizes of its layers and the shapes of its tensors, as plain data."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def describe(model: nn.Module) -> dict[str, Any]:
    """Sizes of every module that has some, shapes of every parameter and buffer:

    `{"sizes": {"conv1": {"in_channels": 1, "out_channels": 13, ...}, ...}, "shapes": {"conv1.weight": [13, 1, 3], ...}}`

    A size is any public attribute that is a whole number or a tuple of some: a forward may use those of its own module too.
    """
    sizes = {name: _sizes(module) for name, module in model.named_modules()}
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    return {"sizes": {name: values for name, values in sizes.items() if values}, "shapes": shapes}


def changed_sizes(structure: dict[str, Any], original: dict[str, Any]) -> dict[str, Any]:
    """The sizes of a structure that differ from another one's."""
    pairs = {name: (values, original["sizes"].get(name, {})) for name, values in structure["sizes"].items()}
    changed = {name: {key: new[key] for key in new if new[key] != old.get(key)} for name, (new, old) in pairs.items()}
    return {name: values for name, values in changed.items() if values}


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


def _sizes(module: nn.Module) -> dict[str, int | tuple[int, ...]]:
    public = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    numbers = {name: value for name, value in public.items() if isinstance(value, int) and not isinstance(value, bool)}
    tuples = {name: tuple(value) for name, value in public.items() if isinstance(value, tuple) and value}
    return numbers | {name: value for name, value in tuples.items() if all(type(size) is int for size in value)}
