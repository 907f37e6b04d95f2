"""Operators whose outputs are random: no file that has one can be scored or shipped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgebook.runtimes.base import Runtime

ONNX = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli")
LITERT = ("RANDOM_STANDARD_NORMAL", "RANDOM_UNIFORM", "MULTINOMIAL")
EXECUTORCH = (
    *("aten::rand", "aten::rand_like", "aten::randn", "aten::randn_like", "aten::randint", "aten::randint_like"),
    *("aten::randperm", "aten::normal", "aten::uniform", "aten::bernoulli", "aten::multinomial", "aten::native_dropout"),
)


def why_random(record: Runtime, path: Path) -> str | None:
    """The reason to refuse a file, with the operator; None for a file without one, or of a runtime that cannot be asked."""
    names = record.side("inspect").operators(path) if record.inspects and record.random_operators else []
    random = [name for name in names if name in record.random_operators]
    return f"the file contains {', '.join(random)}: its outputs are random" if random else None
