"""What decides the outcome of an execution: complete, and narrow enough that prose and pages cost nothing."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgebook import paths, rows
from edgebook.files import sha256
from edgebook.naming import is_package, is_path
from edgebook.runner.notebook_file import code_cells
from edgebook.runner.plan import Execution, sources
from edgebook.source_key import Closure, closure
from edgebook.user_data import data_digest
from edgebook.user_source import path_of, user_source


def execution_key(folder: Path, execution: Execution, executions: list[Execution]) -> str:
    """sha256 of: parameters, the notebook's code, all source and libraries that it uses, the files that a parameter names
    (a network with what it imports, data with all their files), devices.yaml and the rows of earlier executions where it reads
    them.

    folder: of the run. executions: all of the run, in order. Raises BadInput for a file that cannot be read.
    """
    source = source_of(execution)
    parts = {
        "schema": rows.SCHEMA,
        "params": execution.params,
        "code": [ast.dump(ast.parse(cell)) for cell in code_cells(execution.notebook)],
        "source": source.digest,
        "files": {text: _file(text) for text in _paths(execution.params)},
        "rows": _rows(folder, execution, executions),
    }
    if "devices" in execution.reads or "edgebook.paths:DEVICES" in source.definitions:
        parts["devices"] = sha256(paths.DEVICES)
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def source_of(execution: Execution) -> Closure:
    """All source and libraries that an execution uses."""
    return closure(names=list(_texts(execution.params)), code="\n".join(code_cells(execution.notebook)))


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for pair in value.items() for part in pair for text in _texts(part))
    elif isinstance(value, list | tuple):
        yield from (text for item in value for text in _texts(item))


def named_files(execution: Execution) -> tuple[set[str], set[str]]:
    """(networks of the user's own, other files) that parameters name."""
    texts = set(_paths(execution.params))
    networks = {text for text in texts if _is_code(text)}
    return networks, {text for text in texts - networks if path_of(text).is_file()}


def _paths(params: dict[str, Any]) -> list[str]:
    return [text for text in sorted(set(_texts(params))) if is_path(text)]


def _file(text: str) -> Any:
    """What a text stands for when it names a network or data; null when it names neither."""
    return user_source(text) if _is_code(text) else data_digest(path_of(text))


def _is_code(text: str) -> bool:
    file = path_of(text)
    return is_package(text) or (file.is_file() and file.suffix == ".py")


def _rows(folder: Path, execution: Execution, executions: list[Execution]) -> dict[str, str | None]:
    """Digests of the rows that are read."""
    files = {other.name: folder / "rows" / f"{other.name}.jsonl" for other in sources(execution, executions)}
    return {name: sha256(file) if file.is_file() else None for name, file in files.items()}
