"""Calls in processes of this machine: each alone in its process, which is used again; one that dies takes only its call along."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from edgebook.errors import one_line
from edgebook.process import end_with_parent
from edgebook.runner.executors.executor import Outcome
from edgebook.runner.kernel import environment_of_kernels

CONTEXT = get_context("spawn")  # a fork would copy threads and locks


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    tag: Hashable = None  # of the call in flight
    cores: int = 0  # that it computes on


@dataclass
class Pool:
    """At most `jobs` calls at once, on at most `cores` cores. The processes end with this one, however it ends."""

    jobs: int
    cores: int
    workers: list[_Worker] = field(default_factory=list)

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes at once, also in the middle of a call."""
        for worker in self.workers:
            worker.process.kill()
            worker.process.join()

    @property
    def n_running(self) -> int:
        """Calls in flight."""
        return len(self._busy())

    @property
    def cores_used(self) -> int:
        """Cores that the calls in flight compute on."""
        return sum(worker.cores for worker in self._busy())

    def has_room(self, cores: int) -> bool:
        """Whether a call on so many cores can start now; one that needs more than there are runs alone."""
        return not self.n_running or (self.n_running < self.jobs and self.cores_used + cores <= self.cores)

    def submit(self, tag: Hashable, function: Callable[..., Any], arguments: tuple, *, cores: int = 1) -> None:
        """Start `function(*arguments)`; `wait` gives its outcome under this tag."""
        while True:
            worker = next((worker for worker in self.workers if worker.tag is None), None) or self._start()
            try:
                worker.connection.send((function, arguments))
            except OSError:  # it died between two calls
                self.workers.remove(worker)
            else:
                worker.tag, worker.cores = tag, cores
                return

    def wait(self) -> list[tuple[Hashable, Outcome]]:
        """(tag, outcome) of the calls that have ended; waits until there is one."""
        busy = {worker.connection: worker for worker in self._busy()}
        ended = []
        for connection in wait(list(busy)):
            worker = busy[connection]
            ended.append((worker.tag, _receive(worker)))
            worker.tag = None
            if not worker.process.is_alive():
                self.workers.remove(worker)
        return ended

    def _busy(self) -> list[_Worker]:
        return [worker for worker in self.workers if worker.tag is not None]

    def _start(self) -> _Worker:
        here, there = CONTEXT.Pipe()
        process = CONTEXT.Process(target=_serve, args=(there, os.getpid()), daemon=True)
        with environment_of_kernels({"PYTHONSAFEPATH": "1"}):  # the new process imports nothing from the folder that it stands in
            process.start()
        there.close()  # so that the death of the process ends the connection
        self.workers.append(_Worker(process, here))
        return self.workers[-1]


def _receive(worker: _Worker) -> Outcome:
    try:
        return worker.connection.recv()
    except (EOFError, OSError):
        worker.process.join()
        return Outcome(error=f"its process ended: {_how(worker.process.exitcode)}")


def _how(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    return f"{name}, perhaps out of memory" if name == "SIGKILL" else name


def _serve(connection: Connection, parent: int) -> None:
    """Answer calls until the connection ends. In a session of its own: Ctrl-C is for the parent, which ends this process."""
    os.setsid()
    end_with_parent(parent)
    while True:
        try:
            function, arguments = connection.recv()
        except EOFError:
            return
        try:
            outcome = Outcome(function(*arguments))
        except Exception as error:  # a call that fails is an outcome
            outcome = Outcome(error=one_line(error))
        connection.send(outcome)
