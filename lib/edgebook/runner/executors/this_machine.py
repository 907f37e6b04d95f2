"""Executions in processes of this machine, on no more cores than there are."""

from __future__ import annotations

import os
from dataclasses import dataclass

from edgebook.runner.execute import Run, execute
from edgebook.runner.executors.executor import Outcome
from edgebook.runner.executors.local import Pool
from edgebook.runner.kernel import cores
from edgebook.runner.plan import Execution

MEMORY_OF_ONE = 1.5e9  # bytes: no more executions at once than the free memory holds


@dataclass
class ThisMachine:
    """An executor of processes; an execution takes as many cores as its parameters say."""

    pool: Pool

    @property
    def n_at_once(self) -> int:
        return min(self.pool.jobs, self.pool.cores)

    def __enter__(self) -> ThisMachine:
        self.pool.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.pool.__exit__(*exception)

    def has_room(self, execution: Execution) -> bool:
        return self.pool.has_room(cores(execution.params))

    def submit(self, run: Run, execution: Execution, key: str) -> None:
        self.pool.submit(execution.name, execute, (run, execution, key), cores=cores(execution.params))

    def wait(self) -> list[tuple[str, Outcome]]:
        return [(str(name), outcome) for name, outcome in self.pool.wait()]


def this_machine(jobs: int | None) -> ThisMachine:
    """At most `jobs` at once, as many as the memory holds when None; the cores limit them in any case."""
    return ThisMachine(Pool(jobs or default_jobs(), available_cores()))


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_jobs() -> int:
    """Executions at once that the free memory holds, at least one."""
    import psutil

    return max(1, int(psutil.virtual_memory().available / MEMORY_OF_ONE))
