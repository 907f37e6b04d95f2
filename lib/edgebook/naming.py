"""Names for people and folders: executions, tasks, networks. Short, unique, and without a path of this machine."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

PACKAGE = re.compile(r"(?![\w.]*\.py:)[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
LONGEST = 80  # characters of data and network in the name of an execution
LONGEST_GRID = 60  # characters of what a grid has set


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


def case_id(values: dict[str, Any]) -> str | None:
    """6 hex digits of the data's and the network's full names and of the network's shape; None without a task.

    Rows of one case compare with each other. Two networks, two files of one name, or one network from two files of weights are
    cases of their own whatever their labels.
    """
    if "task" not in values:
        return None
    weights = (values.get("baseline_recipe") or {}).get("weights")
    return short_id(values["task"], values["model"], values.get("model_shape") or {}, *([weights] if weights else []))[:6]


def execution_name(notebook: str, values: dict[str, Any]) -> str:
    """`20_prune_sweep--mnist1d-conv1d-5f0c21--s0`: the notebook, its data and network, their `case_id`, the seed.

    What a preset's grid has set follows: `--round_to-8-77b1c2`. A notebook without a task is its own name.
    """
    if "task" not in values:
        return notebook
    grid = values.get("grid_values") or {}
    labels = f"{task_label(values['task'])}-{model_label(values['model']).replace(':', '.')}"
    name = f"{notebook}--{_for_files(labels, LONGEST)}-{case_id(values)}--s{values['seed']}"
    return f"{name}--{_for_files(grid_label(grid), LONGEST_GRID)}-{short_id(grid)[:6]}" if grid else name


def grid_label(values: dict[str, Any]) -> str:
    """`round_to 8, finetune_recipe.lr 0.1`: what a preset's grid has set, for people."""
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _for_files(text: str, longest: int) -> str:
    """A text as a part of the names of files."""
    return re.sub(r"[^\w.-]+", "_", text, flags=re.ASCII)[:longest].rstrip("_")
