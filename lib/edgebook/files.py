"""Files and folders that are whole or absent, and what killed processes left behind."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from edgebook.errors import BadInput

DRAFT = ".draft"  # ending of files that are being written; they are locked while their writer lives
SCRATCH = f"edgebook-{os.getuid()}-"  # folders for a while: of sockets, of a compiler's files
SETTLE_S = 2.0  # age below which nothing counts as abandoned: its maker may not have locked it yet


class Unwritable(BadInput):
    """Something cannot be written: the disk is full, or must not be written to."""


def write_bytes(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Replace `path` whole or not at all, also when the process dies or, where `durable`, the power fails half-way. Raises
    Unwritable, with the file and the reason.
    """
    draft = path.with_name(f".{uuid.uuid4().hex[:12]}{DRAFT}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(draft, "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
            os.replace(draft, path)
        if durable:
            _flush_folder(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """The same for text, as UTF-8."""
    write_bytes(path, text.encode(), durable=durable)


def write_sealed(path: Path, kind: bytes, content: bytes) -> None:
    """Write a file of a kind and a version, such as b"edgebook network 2", with a checksum that `read_sealed` compares."""
    write_bytes(path, b"%s %s\n%s" % (kind, hashlib.sha256(content).hexdigest().encode(), content))


def read_sealed(path: Path, kind: bytes) -> bytes:
    """The content of such a file. Raises ValueError, with the file and the reason, unless it is whole and of this kind."""
    try:
        line, _, content = path.read_bytes().partition(b"\n")
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
    name, _, digest = line.rpartition(b" ")
    if name != kind:
        raise ValueError(f"{path}: is damaged, or of another version")
    if hashlib.sha256(content).hexdigest().encode() != digest:
        raise ValueError(f"{path}: is damaged: its checksum differs")
    return content


def write_sealed_json(path: Path, content: dict[str, Any]) -> None:
    """Write a mapping as JSON for people, with a checksum that `read_sealed_json` compares, under `sha256`."""
    write_text(path, json.dumps({**content, "sha256": _digest(content)}, indent=1))


def read_sealed_json(path: Path) -> dict[str, Any]:
    """The mapping of such a file. Raises ValueError, with the file and the reason, unless it is whole."""
    try:
        content = json.loads(path.read_bytes())
        digest = content.pop("sha256")
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError, AttributeError, LookupError, TypeError):
        raise ValueError(f"{path}: is damaged, or of another version") from None
    if not isinstance(content, dict) or _digest(content) != digest:
        raise ValueError(f"{path}: is damaged: its checksum differs")
    return content


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _flush_folder(folder: Path) -> None:
    """Make the names in a folder durable; some file systems do not need or know it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_writable(folder: Path) -> None:
    """Create `folder` where it is absent. Raises Unwritable, with the folder and the reason, when it cannot be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"edgebook")
    except OSError as error:
        raise _unwritable(folder, error) from None


def _unwritable(path: Path, error: OSError) -> Unwritable:
    return Unwritable(f"{path}: cannot be written: {error.strerror}")


def check_own(folder: Path, marks: Sequence[str], names: Sequence[str] = ()) -> None:
    """Raises BadInput for a folder with files of others: one that is neither absent nor empty, has none of the `marks` (paths or
    patterns in it), and holds something else than `names`.
    """
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder}: is a file; allowed: a folder")
    inside = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if inside - set(names) and not any(path for mark in marks for path in folder.glob(mark)):
        shown = min(inside - set(names))
        raise BadInput(
            f"{folder}: has other files ({shown}); allowed: a new or empty folder, or one that was written here before"
        )


@contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Whether this process alone holds `folder` until the end of the block: a kernel lock, freed however the process ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield _try_lock(descriptor)
    finally:
        os.close(descriptor)


def is_free(folder: Path) -> bool:
    """Whether no process holds `folder`."""
    with held(folder) as alone:
        return alone


def touch(path: Path) -> None:
    """Note that a file or folder of the store was used now, where that can be written."""
    with suppress(OSError):
        os.utime(path)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def temporary_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder, held and removed at the end; `remove_abandoned` removes those of killed processes. Raises Unwritable."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    except OSError as error:
        raise _unwritable(parent, error) from None
    try:
        with held(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def scratch() -> Iterator[Path]:
    """A new folder for files that are needed until the end of the block; `edgebook run` removes those of killed processes."""
    with temporary_folder(Path(tempfile.gettempdir()), SCRATCH) as folder:
        yield folder


def remove_abandoned(parent: Path, pattern: str) -> list[Path]:
    """Remove the files and folders matching `pattern` in `parent` that no living process holds; what was removed."""
    removed = []
    for path in parent.glob(pattern):
        with suppress(OSError):  # it went by itself, or belongs to somebody else
            if time.time() - path.stat().st_mtime < SETTLE_S:
                continue
            with held(path) as alone:
                if alone:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                    removed.append(path)
    return removed
