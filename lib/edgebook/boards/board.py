"""A place where files run: how a worker is started there, and how arrays get there and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from subprocess import Popen
from typing import Any

from edgebook.runtimes.base import Artifact


@dataclass(frozen=True)
class Board:
    """What a worker and a session need of a board.

    start: (artifact, threads, shape, errors) -> the process of `measure.bench` with pipes to its stdin and stdout. send: a file
    here -> its path there. path: the path there of a file that `fetch` will bring here. describe: what a reader has to know of
    the machine, asked before and after a session; None for this one. limit_s: what does not answer for so long has failed.
    """

    start: Callable[..., Popen]
    send: Callable[[str], str]
    path: Callable[[str], str]
    fetch: Callable[[str], None]
    describe: Callable[[], dict[str, Any]] | None = None
    limit_s: float = 120.0


def bench_arguments(artifact: Artifact, path: str, *, threads: int, shape: tuple[int, ...]) -> list[str]:
    """What a Python has to be given to start `measure.bench` for a file that lies at `path` there."""
    command = ["-m", "edgebook.measure.bench", artifact.runtime, path, "--threads", str(threads)]
    return [*command, "--output", artifact.output, "--shape", *map(str, shape)]


def bench_environment(threads: int) -> dict[str, str]:
    """Environment variables of that process, beside those that are there."""
    return {"PYTHONSAFEPATH": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": str(threads)}
