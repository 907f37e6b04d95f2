"""This machine as a board: `measure.bench` in a process here."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import IO

from edgebook.boards.board import Board, bench_arguments, bench_environment
from edgebook.runtimes.base import Artifact

# -P: a numpy.py in the working folder is never imported; the program itself runs any Python file that it is told to load
PYTHON = [sys.executable, "-P"]


def start(artifact: Artifact, *, threads: int, shape: tuple[int, ...], errors: IO[bytes]) -> subprocess.Popen:
    """The process that loads the file, with pipes to its stdin and stdout; stderr goes to `errors`."""
    command = [*PYTHON, *bench_arguments(artifact, str(artifact.path), threads=threads, shape=shape)]
    environment, pipe = {**os.environ, **bench_environment(threads)}, subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, env=environment, bufsize=0)


BOARD = Board(start, send=str, path=str, fetch=lambda path: None)
