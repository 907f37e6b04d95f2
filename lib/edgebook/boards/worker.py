"""The process of one file on a board: one JSON command per line, one JSON answer; it never outlives its limit or this process."""

from __future__ import annotations

import contextlib
import json
import select
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from typing import IO, Any

from edgebook.boards import local
from edgebook.boards.board import Board
from edgebook.errors import Unsupported
from edgebook.runtimes.base import Artifact


@dataclass
class Worker:
    """A started file. `ask` sends a command and waits for the answer, at most `limit_s` seconds."""

    artifact: Artifact
    threads: int
    limit_s: float
    shape: tuple[int, ...] = ()  # of an item, for files that leave sizes open
    board: Board = local.BOARD
    errors: IO[bytes] = field(default_factory=tempfile.TemporaryFile, repr=False)
    process: subprocess.Popen = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.process = self.board.start(self.artifact, threads=self.threads, shape=self.shape, errors=self.errors)

    def ask(self, **command: Any) -> dict[str, Any]:
        """The answer to a command; without one, the first answer (that the file is loaded). `x` and `y` of a command are files
        here: what the board reads, and what it writes.

        Raises RuntimeError with the reason when the process fails, dies or does not answer in time; Unsupported, which is one,
        where the runtime cannot be loaded there.
        """
        target = command.get("y")
        if command:
            there = {"x": self.board.send} if "x" in command else {}
            there |= {"y": self.board.path} if target else {}
            command |= {name: translate(command[name]) for name, translate in there.items()}
            with contextlib.suppress(BrokenPipeError):  # it died: its last answer is read below
                self.process.stdin.write((json.dumps(command) + "\n").encode())
        ready, _, _ = select.select([self.process.stdout], [], [], self.limit_s)
        if not ready:
            self.close()
            raise RuntimeError(f"no answer within {self.limit_s:g} s")
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process died: {self._last_words()}")
        answer = json.loads(line)
        if not answer.pop("ok"):
            raise Unsupported(answer["error"], code=answer["code"]) if "code" in answer else RuntimeError(answer["error"])
        if target and not answer.get("error"):
            self.board.fetch(target)
        return answer

    def again(self) -> Worker:
        """The same file in a new process; this one is closed."""
        self.close()
        return Worker(self.artifact, self.threads, self.limit_s, self.shape, self.board)

    def close(self) -> None:
        """End the process; may be called twice."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                stream.close()

    def _last_words(self) -> str:
        """How the process ended, and the last line that it wrote to stderr."""
        code = self.process.wait()
        if code < 0:
            return f"killed by {signal.Signals(-code).name}; the file is corrupt or its runtime cannot run it"
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return f"exit {code}{', ' + lines[-1][:200] if lines else ''}"
