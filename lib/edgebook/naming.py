"""Names for people and folders: executions, tasks, networks. Short, unique, and without a path of this machine."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

LONGEST = 80  # characters of data and network in the name of an execution


def short_id(*parts: Any) -> str:
    """12 hex digits, the same for the same parts in every process."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:12]


def is_path(name: str) -> bool:
    """Whether a task or a model is given by a file instead of a name: `data.npz`, `path/to/net.py:build`."""
    return "/" in name or "." in name


def task_label(name: str) -> str:
    """`digits`, or `heart` for `~/data/heart.npz`."""
    return Path(name).stem if is_path(name) else name


def model_label(name: str) -> str:
    """`resnet8`, or `net:build` for `path/to/net.py:build`."""
    path, colon, function = name.rpartition(":")
    return f"{Path(path).stem}:{function}" if colon else name


def execution_name(notebook: str, values: dict[str, Any]) -> str:
    """`20_prune_sweep--mnist1d-conv1d-5f0c21--s0`: the notebook, its data and network, their hash, the seed.

    The hash is of the data's and the network's full names and of the network's shape, so that two networks, or two files of
    one name, never share an execution. A notebook without a task is its own name.
    """
    if "task" not in values:
        return notebook
    identity = short_id(values["task"], values["model"], values.get("model_shape") or {})[:6]
    labels = f"{task_label(values['task'])}-{model_label(values['model']).replace(':', '.')}"
    labels = re.sub(r"[^\w.-]", "_", labels, flags=re.ASCII)[:LONGEST]  # part of the names of files
    return f"{notebook}--{labels}-{identity}--s{values['seed']}"
