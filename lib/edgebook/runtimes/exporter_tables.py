"""Tables that PyTorch's exporters build anew for every file although they stay the same: built once in a process.

They are more than half of the time of an ONNX export and a third of a LiteRT conversion of a small network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any
from unittest.mock import patch


@contextmanager
def kept_tables() -> Iterator[None]:
    """Inside, the exporters get the tables of this process; nothing may register operators or translations of its own there."""
    from torch._export import utils
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    operators = utils._collect_all_valid_cia_ops_for_namespace  # those that are composed of others
    translations = ONNXRegistry.from_torchlib  # of PyTorch's operators into ONNX
    with (
        patch.object(utils, operators.__name__, partial(_once, operators)),
        patch.object(ONNXRegistry, translations.__name__, partial(_once, translations)),
    ):
        yield


@cache
def _once(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    return function(*arguments, **named)


def build() -> None:
    """Import what every export needs and build the tables, by an export of a network of one layer. Starts no threads."""
    import torch

    from edgebook.runtimes.quiet import quiet

    with quiet(), kept_tables():
        torch.onnx.export(torch.nn.Linear(1, 1).eval(), (torch.zeros(1, 1),), dynamo=True)
