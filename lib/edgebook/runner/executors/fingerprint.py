"""What two machines must have in common so that an execution gives the same on both: code, libraries, data, files."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgebook import paths
from edgebook.errors import BadInput, one_line
from edgebook.files import sha256
from edgebook.libraries import versions_of
from edgebook.registry import resolve
from edgebook.runner.key import named_files, source_of
from edgebook.runner.plan import Execution
from edgebook.user_source import path_of, user_source

DataFingerprints = Callable[[list[str]], dict[str, str]] | str  # names of data sets -> what they hold


@dataclass(frozen=True)
class Question:
    """What the executions of a run use: names of libraries, data sets, networks of the user's own, and other files."""

    libraries: tuple[str, ...]
    tasks: tuple[str, ...]
    networks: tuple[str, ...]
    files: tuple[str, ...]
    data: DataFingerprints


def question(executions: list[Execution], data: DataFingerprints) -> Question:
    """What has to be the same for these executions."""
    libraries = {name for execution in executions for name in source_of(execution).versions}
    tasks = {execution.params["task"] for execution in executions if "task" in execution.params}
    named = [named_files(execution) for execution in executions]
    networks, files = ({name for names in named for name in names[part]} for part in (0, 1))
    libraries, tasks, networks, files = (tuple(sorted(names)) for names in (libraries, tasks, networks, files))
    return Question(libraries, tasks, networks, files, data)


def fingerprint(asked: Question) -> dict[str, str]:
    """What this machine has: name -> version or digest, "absent" where there is none."""
    found = {"Python": ".".join(platform.python_version_tuple()[:2]), "the source of edgebook": _source()}
    for name in ("requirements.lock", "devices.yaml"):
        found[name] = _digest(paths.CHECKOUT / name)
    found |= dict.fromkeys(asked.libraries, "absent") | versions_of(asked.libraries)
    found |= {name: _digest(path_of(name)) for name in asked.files}
    for name in asked.networks:
        found |= _network(name)
    try:
        return found | {f"data {name}": digest for name, digest in resolve(asked.data)(list(asked.tasks)).items()}
    except Exception as error:  # whatever keeps the data from being loaded here
        return found | {"data": one_line(error)}


def difference(mine: dict[str, str], theirs: dict[str, str]) -> str | None:
    """The first thing that is not the same, as `torch: 2.12.0 there, 2.13.0 here`; None when all is."""
    for name in {**mine, **theirs}:
        here, there = mine.get(name, "absent"), theirs.get(name, "absent")
        if here != there:
            return f"{name}: {there[:80]} there, {here[:80]} here"
    return None


def _source() -> str:
    """Digest of the package and the notebooks."""
    total = hashlib.sha256()
    package = Path(__file__).parents[2]
    for path in sorted([*package.rglob("*.py"), *paths.NOTEBOOKS.glob("*.ipynb")]):
        total.update(f"{path.name} {sha256(path)}".encode())
    return total.hexdigest()[:12]


def _network(name: str) -> dict[str, str]:
    """The files and libraries of a network of the user's own; nothing where there is no such network."""
    try:
        return {f"{name}: {part}": value for part, value in user_source(name).items()}
    except BadInput:
        return {}


def _digest(path: Path) -> str:
    return sha256(path)[:12] if path.is_file() else "absent"
