"""Why an execution failed: a class of reasons, one of `vocabulary.REASONS`, and a line for people."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgebook.errors import line_of, one_line

OWN_WORDS = ("BadInput", "Unsupported", "Unwritable")  # exceptions whose message says all
OF_PARAMETERS = ("BadInput",)
OF_MEMORY = ("MemoryError", "_ArrayMemoryError", "OutOfMemoryError")


@dataclass(frozen=True)
class Failure:
    """reason: one of `vocabulary.REASONS`. error: one line."""

    reason: str
    error: str


def failure_of(error: Exception, notebook: Path, oom_kills_before: int) -> Failure:
    """What papermill's exception says: what a cell raised, or why the kernel gave no answer.

    notebook: as executed so far. oom_kills_before: `oom_kills` at the start.
    """
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    if isinstance(error, PapermillExecutionError):
        reason = "parameters" if error.ename in OF_PARAMETERS else "memory" if error.ename in OF_MEMORY else "cell"
        return Failure(reason, line_of(error.evalue, kind="" if error.ename in OWN_WORDS else error.ename))
    if isinstance(error, DeadKernelError):
        if oom_kills() > oom_kills_before:
            return Failure("memory", "its kernel was killed: the machine is out of memory")
        return Failure("killed", "its kernel was killed")
    return Failure("cell" if _has_begun(notebook) else "start", one_line(error))


def _has_begun(notebook: Path) -> bool:
    """Whether a cell of the notebook has been sent to the kernel."""
    with suppress(OSError, ValueError):
        cells = json.loads(notebook.read_bytes())["cells"]
        return any(cell["metadata"].get("papermill", {}).get("start_time") for cell in cells)
    return False


def oom_kills() -> int:
    """How many processes the system has killed so far because memory was short; 0 where it does not count them."""
    with suppress(OSError):
        counts = dict(line.split() for line in Path("/proc/vmstat").read_text().splitlines())
        return int(counts.get("oom_kill", 0))
    return 0
