"""The store by kind, age and size, and what of it can go: everything in it can be made again."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgebook.paths import store_dir

IN_USE_S = 3600.0  # what was used since may be in use
REMOVED = ".removed-"  # what is on its way out


KINDS = {"trained networks": "*.pt", "exported files": "files/*", "features of recordings": "features/*.npz"}  # -> where


@dataclass(frozen=True)
class Entry:
    """One of KINDS. used: seconds since the epoch."""

    path: Path
    kind: str
    size_bytes: int
    used: float


def entries() -> list[Entry]:
    """Everything in the store, what was used the longest ago first."""
    store, found = store_dir(), []
    for kind, pattern in KINDS.items():
        for path in store.glob(pattern):
            with suppress(OSError):  # it went in the meantime
                found.append(Entry(path, kind, _size(path), path.stat().st_mtime))
    return sorted(found, key=lambda entry: entry.used)


def to_remove(present: list[Entry], *, older_than_days: float | None, max_bytes: float | None, now: float) -> list[Entry]:
    """Of the entries those that were not used for so long, then, the oldest first, as many as exceed the size.

    What was used within the last hour stays.
    """
    free = [entry for entry in present if now - entry.used > IN_USE_S]
    old = [entry for entry in free if older_than_days is not None and now - entry.used > older_than_days * 86400]
    size = sum(entry.size_bytes for entry in present) - sum(entry.size_bytes for entry in old)
    for entry in [entry for entry in free if entry not in old] if max_bytes is not None else []:
        if size <= max_bytes:
            break
        old.append(entry)
        size -= entry.size_bytes
    return old


def remove(entry: Entry) -> None:
    """Take an entry out of the store: it is there whole, or not at all."""
    aside = entry.path.with_name(f"{REMOVED}{entry.path.name}")
    with suppress(FileNotFoundError):  # somebody else was faster
        entry.path.rename(aside)
        shutil.rmtree(aside) if aside.is_dir() else aside.unlink()


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file())
