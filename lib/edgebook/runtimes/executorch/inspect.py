"""What an ExecuTorch program names: the operators that are not delegated to XNNPACK."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

NAME = re.compile(rb"\b[a-z_]\w*::[a-z_]\w*\0")  # in the flatbuffer every text ends with a zero


def operators(path: Path) -> list[str]:
    """Names of the operators, `aten::cat`, in order of first appearance. Read from the bytes: the library that parses a
    program takes seconds to import.
    """
    return list(dict.fromkeys(name[:-1].decode() for name in NAME.findall(Path(path).read_bytes())))


def inspect(path: Path) -> dict[str, Any]:
    """Plain data about one file: `operators`, their names; what XNNPACK runs is not listed."""
    return {"operators": operators(path)}
