"""What a generated C file takes on an emulated core, as columns of a row."""

from __future__ import annotations

from typing import Any

from edgebook import lock
from edgebook.boards import emulated
from edgebook.errors import Unsupported, one_line
from edgebook.runtimes.base import Artifact
from edgebook.runtimes.c.ends import parse
from edgebook.runtimes.c.load import integer_steps
from edgebook.tasks.task import Task

CORE = "cortex-m4"  # where nothing else is asked for
MOST_ITEMS = 4
MACS = 2e7  # multiply-accumulates that are emulated, about a second on the slowest core


def core_columns(artifact: Artifact, task: Task, core: str) -> dict[str, Any]:
    """core, flash_bytes, ram_bytes, stack_bytes and instructions, over the first validation items.

    Where the tools are absent `extra.not_counted` says so. A file without room on the core's machines is unsupported there;
    one that gives other bytes than on this machine has failed.
    """
    source = artifact.path.read_text(encoding="utf-8")
    n = int(min(max(MACS / max(artifact.columns.get("macs") or 1, 1), 1), MOST_ITEMS))
    steps = integer_steps(task.x_val[:n].numpy(), artifact.path, parse(source))
    try:
        with lock.training():
            items = steps.reshape(-1, steps.shape[-1])
            return emulated.columns(emulated.measure(source, items, core=core, n_steps=steps.shape[1]))
    except Unsupported as error:
        if error.code == "library":
            return {"extra": {"not_counted": one_line(error)}}
        return {"status": "unsupported", "error": one_line(error), "extra": {"unsupported": error.code}}
    except RuntimeError as error:
        return {"status": "failed", "error": one_line(error)}
