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
from edgebook.naming import is_path, model_label, task_label
from edgebook.runner.notebook_file import code_cells
from edgebook.runner.plan import Execution
from edgebook.source_key import closure
from edgebook.user_source import path_of, user_source


def execution_key(folder: Path, execution: Execution, executions: list[Execution]) -> str:
    """sha256 of: parameters, the notebook's code, all source and libraries that it uses, the files that a parameter names
    (a network with what it imports), devices.yaml and the rows of earlier executions where it reads them.

    folder: of the run. executions: all of the run, in order. Raises BadInput for a file that cannot be read.
    """
    cells = code_cells(execution.notebook)
    source = closure(names=list(_texts(execution.params)), code="\n".join(cells))
    parts = {
        "schema": rows.SCHEMA,
        "params": execution.params,
        "code": [ast.dump(ast.parse(cell)) for cell in cells],
        "source": source.digest,
        "files": {text: _file(text) for text in sorted(set(_texts(execution.params))) if is_path(text)},
        "rows": _rows(folder, execution, executions) if "rows" in execution.reads else {},
    }
    if "devices" in execution.reads or "edgebook.paths:DEVICES" in source.definitions:
        parts["devices"] = sha256(paths.DEVICES)
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for pair in value.items() for part in pair for text in _texts(part))
    elif isinstance(value, list | tuple):
        yield from (text for item in value for text in _texts(item))


def _file(text: str) -> Any:
    """What a text stands for when it names a file; null when it names none."""
    file = path_of(text)
    if not file.is_file():
        return None
    return user_source(text) if file.suffix == ".py" else sha256(file)


def _rows(folder: Path, execution: Execution, executions: list[Execution]) -> dict[str, str | None]:
    """Digests of the rows that are read: those of earlier notebooks, with a task only the ones of its data, network and seed."""
    earlier = [other for other in executions if other.notebook < execution.notebook]
    if "task" in execution.params:
        earlier = [other for other in earlier if _setting(other) == _setting(execution)]
    files = {other.name: folder / "rows" / f"{other.name}.jsonl" for other in earlier}
    return {name: sha256(file) if file.is_file() else None for name, file in files.items()}


def _setting(execution: Execution) -> tuple[str, str, int] | None:
    params = execution.params
    return (task_label(params["task"]), model_label(params["model"]), params["seed"]) if "task" in params else None
