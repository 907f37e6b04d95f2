"""This machine as a board: `measure.bench` in a process here."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import IO

from edgebook.boards.board import Board
from edgebook.runtimes.base import Artifact

# -P: a numpy.py in the working folder is never imported; the program itself runs any Python file that it is told to load
COMMAND = [sys.executable, "-P", "-m", "edgebook.measure.bench"]


def start(artifact: Artifact, *, threads: int, shape: tuple[int, ...], errors: IO[bytes]) -> subprocess.Popen:
    """The process that loads the file, with pipes to its stdin and stdout; stderr goes to `errors`."""
    command = [*COMMAND, artifact.runtime, str(artifact.path), "--threads", str(threads), "--output", artifact.output]
    command += ["--shape", *map(str, shape)]
    environment = {**os.environ, "PYTHONSAFEPATH": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": str(threads)}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, env=environment, bufsize=0)


BOARD = Board(start, send=str, path=str, fetch=lambda path: None)
