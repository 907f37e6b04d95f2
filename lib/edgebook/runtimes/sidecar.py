"""What a file cannot tell about itself, in a JSON beside it (`model.json` for `model.onnx`); few files need one.

`preprocess: {scale, offset}`: the file takes x * scale + offset where the task has x. `input`, `output`:
`{scale, zero_point}` of integer tensors, for formats that do not keep them. `one_step` has other keys there. A JSON without
any of these keys belongs to somebody else and changes nothing; one that has others beside them is refused.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgebook.errors import BadInput
from edgebook.runtimes.base import Program

KEYS = ("preprocess", "input", "output", "input_shape", "steps", "x", "y", "states")  # from `input_shape` on those of one_step


def read(path: Path) -> dict[str, Any]:
    """The sidecar of a file, empty when there is none. Raises BadInput when it is not a JSON object, or only partly a sidecar."""
    beside = Path(path).with_suffix(".json")
    if not beside.is_file():
        return {}
    try:
        content = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{beside}: is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise BadInput(f"{beside}: an object is needed, not {type(content).__name__}")
    ours, others = [key for key in content if key in KEYS], [key for key in content if key not in KEYS]
    if ours and others:
        listed = f"{', '.join(ours)} would change how the file is fed, but {', '.join(others)} is no key of a sidecar"
        raise BadInput(f"{beside}: {listed}; allowed: {', '.join(KEYS[:3])}, or another name for this JSON"[:300])
    return content if ours else {}


def numbers(content: dict[str, Any], path: Path, group: str, first: str, second: str, default: float) -> tuple[float, float]:
    """Two numbers of a group; the second is 0 when left out. Raises BadInput that names the key."""
    values = content.get(group) or {}
    pair: list[Any] = [values.get(first, default), values.get(second, 0.0)] if isinstance(values, dict) else [None]
    if not all(isinstance(value, int | float) for value in pair):
        raise BadInput(f"{Path(path).with_suffix('.json')}: {group} = {values!r}; allowed: {first} and {second}, numbers")
    return pair[0], pair[1]


def preprocessing(path: Path) -> tuple[float, float]:
    """(scale, offset) that the sidecar of a file asks for; (1, 0) changes nothing. Raises BadInput for a scale of 0."""
    scale, offset = numbers(read(path), path, "preprocess", "scale", "offset", 1.0)
    if not scale:
        raise BadInput(f"{Path(path).with_suffix('.json')}: preprocess.scale = 0; allowed: any other number")
    return scale, offset


def prepared(program: Program, path: Path) -> Program:
    """The program, fed with x * scale + offset when its sidecar asks for it."""
    scale, offset = preprocessing(path)
    if (scale, offset) == (1.0, 0.0):
        return program
    ends = program.input_range and sorted((end - offset) / scale for end in program.input_range)

    def put(x: np.ndarray) -> None:
        program.put(np.asarray(x, np.float32) * np.float32(scale) + np.float32(offset))

    return replace(program, put=put, input_range=ends and (ends[0], ends[1]))
