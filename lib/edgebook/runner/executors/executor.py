"""What executes executions: on this machine, or on a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from edgebook.runner.execute import Run
    from edgebook.runner.plan import Execution


@dataclass(frozen=True)
class Outcome:
    """The value of a call in another process, or the reason in one line why there is none."""

    value: Any = None
    error: str | None = None


class Executor(Protocol):
    """Starts executions while there is room, and tells their outcomes: records. What runs at the end of its block is ended."""

    @property
    def n_at_once(self) -> int:
        """Executions that can run at the same time."""
        ...

    def __enter__(self) -> Any: ...

    def __exit__(self, *_: object) -> None: ...

    def has_room(self, execution: Execution) -> bool:
        """Whether an execution can start now."""
        ...

    def submit(self, run: Run, execution: Execution, key: str) -> None:
        """Start an execution."""
        ...

    def wait(self) -> list[tuple[str, Outcome]]:
        """(name, outcome) of executions that have ended; waits until there is one."""
        ...
