"""Which executions a run has."""

from __future__ import annotations

import json
from pathlib import Path


def executions_of(folder: Path) -> set[str] | None:
    """The executions that the preset of a run names, from its run.json; None where there is no such record.

    Raises ValueError for a record that cannot be read.
    """
    record = Path(folder) / "run.json"
    if not record.is_file():
        return None
    content = json.loads(record.read_bytes())
    if not isinstance(content, dict) or not isinstance(content.get("executions"), list):
        raise ValueError("a list `executions` is needed")
    return set(map(str, content["executions"]))
