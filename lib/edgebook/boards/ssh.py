"""A machine over SSH as a board: the file and the load sides of the library are copied there, and run by the Python there.

Keys and host keys are those of the `ssh` command: no password is asked for, an unknown host key is refused.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import shutil
import subprocess
import tarfile
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from edgebook.boards.board import Board, bench_arguments, bench_environment
from edgebook.errors import BadInput
from edgebook.naming import short_id
from edgebook.runtimes.base import Artifact

CONFIG = "EDGEBOOK_SSH_CONFIG"  # a file for `ssh -F` in the place of the user's own
TIMEOUT_S = 20.0
OPTIONS = {"BatchMode": "yes", "StrictHostKeyChecking": "yes", "ConnectTimeout": "10", "ControlMaster": "auto"}
PACKAGE = Path(__file__).parents[1]
COPIED = ("*.py", "runtimes/**/*.py", "runtimes/c/kernels/*.c", "measure/__init__.py", "measure/bench.py", "measure/machine.py")
REASONS = {
    "Host key verification failed": "its host key is unknown or has changed; connect once with ssh and compare the fingerprint",
    "Permission denied (": "no key of this user is accepted there, and passwords are never asked for",
    "Permission denied": "its Python must not be executed by this user",
    "timed out": f"cannot be reached within {OPTIONS['ConnectTimeout']} s",
    "Exec format error": "its Python is for another processor architecture",
    "No such file or directory": "there is no Python at the path that was given",
}
CHECK = """
import sys
if sys.version_info < (3, 11):
    sys.exit(f"its Python is {sys.version.split()[0]}; 3.11 or newer is needed")
try:
    import numpy
except ImportError as error:
    sys.exit(f"its Python {sys.executable} cannot import numpy: {error}")
"""


@dataclass(frozen=True)
class Address:
    """ssh://user@host:port/path/of/python; user, port and path may be left out."""

    host: str  # with the user
    port: int | None
    python: str

    @property
    def name(self) -> str:
        """Without user and Python: what rows call the device."""
        host = self.host.rpartition("@")[2]
        return f"{host}:{self.port}" if self.port else host


def address(url: str) -> Address:
    """The parts of a URL. Raises BadInput for another form."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    host = parts.netloc.rpartition(":")[0] if port else parts.netloc
    if parts.scheme != "ssh" or not parts.hostname or host.startswith("-") or port == -1 or parts.query or parts.fragment:
        raise BadInput(f"device = {url!r}; allowed: host, or ssh://user@host:port/path/of/python")
    return Address(host, port, parts.path or "python3")


@contextmanager
def board(url: str) -> Iterator[Board]:
    """The machine as a board, while the context lasts; the folder that it needs there is removed afterwards.

    Raises BadInput for a wrong URL, RuntimeError with the reason when the machine cannot be used.
    """
    place = address(url)
    if not shutil.which("ssh"):
        raise RuntimeError(f"{place.name}: ssh is not installed here (Debian package openssh-client)")
    with tempfile.TemporaryDirectory(prefix="edgebook-ssh-") as sockets:
        shell = _Shell(place, ["ssh", *_options(place, Path(sockets) / "socket"), place.host])
        try:
            folder = shell.run("mktemp -d").decode().strip()
            try:
                shell.run(shlex.join([place.python, "-c", CHECK]))
                shell.run(f"tar -xzf - -C {shlex.quote(folder)}", _library())
                yield _board(shell, folder)
            finally:
                with contextlib.suppress(RuntimeError):
                    shell.run(f"rm -rf {shlex.quote(folder)}")
        finally:
            subprocess.run([*shell.command[:-1], "-O", "exit", place.host], capture_output=True)


def _options(place: Address, socket: Path) -> list[str]:
    options = [f"-o{name}={value}" for name, value in {**OPTIONS, "ControlPath": socket, "ControlPersist": 60}.items()]
    options += ["-p", str(place.port)] if place.port else []
    return options + (["-F", os.environ[CONFIG]] if os.environ.get(CONFIG) else [])


@dataclass(frozen=True)
class _Shell:
    """Commands on the machine, over one connection."""

    place: Address
    command: list[str]

    def run(self, line: str, sent: bytes = b"") -> bytes:
        """What a command prints. Raises RuntimeError with the reason when it fails."""
        try:
            ended = subprocess.run([*self.command, line], input=sent, capture_output=True, timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{self.place.name}: no answer within {TIMEOUT_S:g} s") from None
        if ended.returncode:
            raise RuntimeError(f"{self.place.name}: {_reason(ended.stderr.decode(errors='replace'))}")
        return ended.stdout


def _reason(errors: str) -> str:
    """The reason in ssh's own messages, or the last of them."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()] or ["it ended without a message"]
    return next((reason for sign, reason in REASONS.items() if sign in errors), lines[-1][:200])


def _library() -> bytes:
    """The load sides and what they import, as a tar file."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for file in sorted({path for pattern in COPIED for path in PACKAGE.glob(pattern)}):
            archive.add(file, f"lib/edgebook/{file.relative_to(PACKAGE)}")
    return content.getvalue()


def _board(shell: _Shell, folder: str) -> Board:
    sent = dict[tuple, str]()  # a split is sent once, whatever the number of files that read it

    def remote(path: str | Path) -> str:
        return f"{folder}/{Path(path).name}"

    def put(path: str | Path, target: str) -> None:  # whole or not at all: another process may be reading it
        part, quote = f"{target}.{uuid.uuid4().hex}", shlex.quote
        line = f"mkdir -p {quote(os.path.dirname(target))} && cat > {quote(part)} && mv {quote(part)} {quote(target)}"
        shell.run(line, Path(path).read_bytes())

    def send(path: str) -> str:
        version = path, os.stat(path).st_mtime_ns
        if version not in sent:
            put(path, remote(path))
        return sent.setdefault(version, remote(path))

    def fetch(path: str) -> None:
        Path(path).write_bytes(shell.run(f"cat {shlex.quote(remote(path))}"))

    def python(arguments: list[str], **environment: str) -> str:
        values = {"PYTHONPATH": f"{folder}/lib", **environment}
        settings = (f"{name}={shlex.quote(value)}" for name, value in values.items())
        return f"cd {shlex.quote(folder)} && env {' '.join(settings)} {shlex.join([shell.place.python, *arguments])}"

    def start(artifact: Artifact, *, threads: int, shape: tuple[int, ...], errors: IO[bytes]) -> subprocess.Popen:
        own = f"{folder}/{short_id(str(artifact.path))}"  # files of one name are told apart
        for file in artifact.needed:
            put(file, f"{own}/{file.name}")
        arguments = bench_arguments(artifact, f"{own}/{artifact.path.name}", threads=threads, shape=shape)
        line, pipe = python(arguments, **bench_environment(threads)), subprocess.PIPE
        return subprocess.Popen([*shell.command, line], stdin=pipe, stdout=pipe, stderr=errors, bufsize=0)

    def describe() -> dict[str, Any]:
        return json.loads(shell.run(python(["-m", "edgebook.measure.machine"], PYTHONSAFEPATH="1")))

    return Board(start, send, remote, fetch, describe)
