"""The user's own data: every file that decides what they are."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from edgebook import yaml_file
from edgebook.errors import BadInput
from edgebook.files import sha256

DESCRIPTIONS = (".yaml", ".yml")  # files that describe data
NAMED = ("path", "items")  # keys of a description whose values are files or folders beside it


def is_description(path: Path) -> bool:
    """Whether a file describes data instead of holding them."""
    return path.suffix.lower() in DESCRIPTIONS


def data_digest(path: Path) -> Any:
    """What decides the data at a path, as plain data: of a file its sha256, of a folder the names, sizes and times of all files,
    of a description its own sha256 and the same of what it names; None for what is absent.

    Raises BadInput for a description that cannot be read.
    """
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        return None
    if not is_description(path):
        return sha256(path)
    content = yaml_file.read(path)
    named = {key: path.parent / Path(content[key]).expanduser() for key in NAMED if isinstance(content.get(key), str)}
    digests = {key: None if is_description(file) else data_digest(file) for key, file in named.items()}
    return {"description": sha256(path), **digests}


def data_of(path: Path, content: dict[str, Any]) -> Path:
    """The data that a description (its `content`) names, relative to it. Raises BadInput where it names none."""
    named = content.get("path")
    if not isinstance(named, str) or not named:
        raise BadInput(f"{path}: path = {named!r}; allowed: the file or folder with the data, relative to this file")
    target = path.parent / Path(named).expanduser()
    if is_description(target):
        raise BadInput(f"{path}: path = {named!r}; allowed: the data themselves, not another description")
    return target


def _folder(path: Path) -> str:
    """A file that was changed has another size or time: to read all of them would take as long as to load them."""
    states = {str(file.relative_to(path)): file.stat() for file in path.rglob("*") if file.is_file()}
    listed = [(name, state.st_size, state.st_mtime_ns) for name, state in sorted(states.items())]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()
