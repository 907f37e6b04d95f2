"""What a notebook's file says about itself: its code, and what it reads."""

from __future__ import annotations

import json
from typing import Any

from edgebook import paths
from edgebook.errors import BadInput

READS = {
    "data": "a data set and a network",
    "rows": "the rows of the executions before it: it waits for them, and is executed again when they change",
    "devices": "devices.yaml",
}


def read_notebook(stem: str) -> dict[str, Any]:
    """The content of notebooks/<stem>.ipynb."""
    return json.loads((paths.NOTEBOOKS / f"{stem}.ipynb").read_text(encoding="utf-8"))


def reads(stem: str) -> frozenset[str]:
    """What a notebook reads, from `{"edgebook": {"reads": [...]}}` in its metadata; data when it says nothing. One that reads
    nothing explains, and leaves no rows.

    Raises BadInput for something that is not in READS.
    """
    entry = read_notebook(stem)["metadata"].get("edgebook", {}).get("reads", ["data"])
    names = [entry] if isinstance(entry, str) else entry
    if unknown := [name for name in names if name not in READS]:
        raise BadInput(f"{stem}.ipynb: metadata edgebook.reads = {', '.join(map(str, unknown))}; allowed: {', '.join(READS)}")
    return frozenset(names)


def code_cells(stem: str) -> list[str]:
    """The code of a notebook, one text per cell, without the parameters cell: its values are resolved elsewhere."""
    cells = [cell for cell in read_notebook(stem)["cells"] if cell["cell_type"] == "code"]
    return ["".join(cell["source"]) for cell in cells if "parameters" not in cell["metadata"].get("tags", [])]
