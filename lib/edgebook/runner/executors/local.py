"""Calls in processes of this machine: each alone in its process, which is used again; one that dies takes only its call along."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from edgebook.errors import one_line
from edgebook.process import end_with_parent

CONTEXT = get_context("spawn")  # a fork would copy threads and locks


@dataclass(frozen=True)
class Outcome:
    """Of one call: its value, or the reason in one line why there is none."""

    value: Any = None
    error: str | None = None


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    call: int | None = None  # the one in flight


def run(function: Callable[..., Any], calls: Sequence[tuple], *, jobs: int) -> Iterator[tuple[int, Outcome]]:
    """(index, outcome) of `function(*calls[index])` for all calls, as they end, at most `jobs` at once.

    The processes end with this one however it ends, and at once when the iteration is left.
    """
    waiting, workers = deque(range(len(calls))), list[_Worker]()
    try:
        while waiting or any(worker.call is not None for worker in workers):
            while waiting and (worker := _idle(workers, jobs)):
                try:
                    worker.connection.send((function, calls[waiting[0]]))
                    worker.call = waiting.popleft()
                except OSError:  # it died between two calls
                    workers.remove(worker)
            busy = {worker.connection: (worker, worker.call) for worker in workers if worker.call is not None}
            for connection in wait(list(busy)):
                worker, index = busy[connection]
                outcome = _receive(worker)
                worker.call = None
                if not worker.process.is_alive():
                    workers.remove(worker)
                yield index, outcome
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.join()


def _idle(workers: list[_Worker], jobs: int) -> _Worker | None:
    """A worker without a call, a new one where there is room, else None."""
    for worker in workers:
        if worker.call is None:
            return worker
    if len(workers) >= jobs:
        return None
    here, there = CONTEXT.Pipe()
    process = CONTEXT.Process(target=_serve, args=(there, os.getpid()), daemon=True)
    process.start()
    there.close()  # so that the death of the process ends the connection
    workers.append(_Worker(process, here))
    return workers[-1]


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
    """Answer calls until the connection ends. Ctrl-C is for the parent, which ends this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
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
