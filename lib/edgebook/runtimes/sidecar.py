"""What a file cannot tell about itself, in a JSON beside it (`model.json` for `model.onnx`); few files need one.

`preprocess: {scale, offset}`: the file takes x * scale + offset where the task has x. `input`, `output`:
`{scale, zero_point}` of integer tensors, for formats that do not keep them. `one_step` has other keys there.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgebook.errors import BadInput
from edgebook.runtimes.base import Program


def read(path: Path) -> dict[str, Any]:
    """The sidecar of a file, empty when there is none. Raises BadInput when it is not a JSON object."""
    beside = Path(path).with_suffix(".json")
    if not beside.is_file():
        return {}
    try:
        content = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{beside}: is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise BadInput(f"{beside}: an object is needed, not {type(content).__name__}")
    return content


def numbers(content: dict[str, Any], path: Path, group: str, first: str, second: str, default: float) -> tuple[float, float]:
    """Two numbers of a group; the second is 0 when left out. Raises BadInput that names the key."""
    values = content.get(group) or {}
    pair: list[Any] = [values.get(first, default), values.get(second, 0.0)] if isinstance(values, dict) else [None]
    if not all(isinstance(value, int | float) for value in pair):
        raise BadInput(f"{Path(path).with_suffix('.json')}: {group} = {values!r}; allowed: {first} and {second}, numbers")
    return pair[0], pair[1]


def prepared(program: Program, path: Path) -> Program:
    """The program, fed with x * scale + offset when its sidecar asks for it."""
    scale, offset = numbers(read(path), path, "preprocess", "scale", "offset", 1.0)
    if (scale, offset) == (1.0, 0.0):
        return program
    return replace(program, put=lambda x: program.put(np.asarray(x, np.float32) * np.float32(scale) + np.float32(offset)))
