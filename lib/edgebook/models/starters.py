"""Model files to begin with: small networks as source text, for the user to change."""

from __future__ import annotations

from edgebook.errors import BadInput

HEAD = '''"""A network to begin with. What depends on this file is made again when it changes."""

from math import prod

from torch import nn


def {function}(input_shape, n_outputs, *, width=16):
    """input_shape: of one item, without the batch. n_outputs: classes, or values. `model_shape: {{width: 32}}` sets width."""
'''
SEQUENCE = """    return nn.Sequential(
        nn.Conv1d(input_shape[0], width, 5, stride=2, padding=2), nn.BatchNorm1d(width), nn.ReLU(),
        nn.Conv1d(width, 2 * width, 3, stride=2, padding=1), nn.BatchNorm1d(2 * width), nn.ReLU(),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(2 * width, n_outputs),
    )
"""
IMAGE = """    return nn.Sequential(
        nn.Conv2d(input_shape[0], width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * width, n_outputs),
    )
"""
DENSE = """    return nn.Sequential(
        nn.Flatten(), nn.Linear(prod(input_shape), 4 * width), nn.ReLU(),
        nn.Linear(4 * width, 2 * width), nn.ReLU(), nn.Linear(2 * width, n_outputs),
    )
"""
PIXELS = """    return nn.Sequential(
        nn.Conv2d(input_shape[0], width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=2, dilation=2), nn.BatchNorm2d(width), nn.ReLU(),
        nn.Conv2d(width, n_outputs, 1),
    )
"""
RECONSTRUCTION = """    return nn.Sequential(
        nn.Flatten(), nn.Linear(prod(input_shape), 4 * width), nn.ReLU(), nn.Linear(4 * width, width // 2), nn.ReLU(),
        nn.Linear(width // 2, 4 * width), nn.ReLU(), nn.Linear(4 * width, n_outputs),
    )
"""
BY_KIND = {"segmentation": PIXELS, "anomaly": RECONSTRUCTION}
BY_DIMENSIONS = {1: DENSE, 2: SEQUENCE, 3: IMAGE}


def starter(function: str, kind_name: str, input_shape: tuple[int, ...]) -> str:
    """The text of a Python file with a network for such items. Raises BadInput for a name that is no function's."""
    if not function.isidentifier():
        raise BadInput(f"model function {function!r}; allowed: a name such as build")
    body = BY_KIND.get(kind_name) or BY_DIMENSIONS.get(len(input_shape), DENSE)
    head = HEAD if "prod(" in body else HEAD.replace("from math import prod\n\n", "")
    return head.format(function=function) + body
