"""A place where files run: how a worker is started there, and how arrays get there and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from subprocess import Popen
from typing import Any


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
