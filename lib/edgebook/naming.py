"""Names for people and folders: executions, tasks, networks. Short, unique, and without a path of this machine."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

PACKAGE = re.compile(r"(?![\w.]*\.py:)[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
LONGEST = 80  # characters of data and network in the name of an execution


def short_id(*parts: Any) -> str:
    """12 hex digits, the same for the same parts in every process."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:12]


def is_path(name: str) -> bool:
    """Whether a task or a model is the user's own instead of a name: `data.npz`, `path/to/net.py:build`, `package:function`."""
    return any(sign in name for sign in "/.:")


def is_package(name: str) -> bool:
    """Whether a model is a function or class of an installed package: `package.module:name`."""
    return PACKAGE.fullmatch(name) is not None


def task_label(name: str) -> str:
    """`digits`, or `heart` for `~/data/heart.npz`."""
    return Path(name).stem if is_path(name) else name


def model_label(name: str) -> str:
    """`resnet8`, `net:build` for `path/to/net.py:build`, `models:resnet18` for `torchvision.models:resnet18`, `net` for
    `path/to/net.pt2`."""
    path, colon, function = name.rpartition(":")
    if not colon:
        return Path(name).stem if is_path(name) else name
    return f"{path.rpartition('.')[2] if is_package(name) else Path(path).stem}:{function}"


def execution_name(notebook: str, values: dict[str, Any]) -> str:
    """`20_prune_sweep--mnist1d-conv1d-5f0c21--s0`: the notebook, its data and network, their hash, the seed.

    The hash is of the data's and the network's full names, of the network's shape and of the weights that it starts from, so
    that two networks, or two files of one name, never share an execution. A notebook without a task is its own name.
    """
    if "task" not in values:
        return notebook
    weights = (values.get("baseline_recipe") or {}).get("weights")
    identity = short_id(values["task"], values["model"], values.get("model_shape") or {}, *([weights] if weights else []))[:6]
    labels = f"{task_label(values['task'])}-{model_label(values['model']).replace(':', '.')}"
    labels = re.sub(r"[^\w.-]", "_", labels, flags=re.ASCII)[:LONGEST]  # part of the names of files
    return f"{notebook}--{labels}-{identity}--s{values['seed']}"
