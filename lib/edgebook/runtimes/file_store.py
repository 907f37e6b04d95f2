"""Exported files in the store: one folder per key, complete and unchanged, or written again."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgebook import files
from edgebook.paths import store_dir

DRAFT = ".draft-"
INDEX = "index.json"  # {"columns": those that `make` returned, "files": {file: digest}}


def stored(key: str, make: Callable[[Path], dict[str, Any]]) -> tuple[Path, dict[str, Any]]:
    """(folder, columns) of a key: the stored ones, or else what `make(folder)` writes and returns.

    A folder appears whole or not at all. When its files have changed since, this is printed, and they are made again.
    """
    folder = store_dir() / "files" / key
    if folder.exists():
        columns = _checked(folder)
        if columns is not None:
            files.touch(folder)
            return folder, columns
        print(f"edgebook: {folder} is damaged: made again", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
    files.check_writable(folder.parent)
    with files.temporary_folder(folder.parent, DRAFT) as draft:  # held, so that only those of killed processes are removed
        columns = make(draft)
        files.write_sealed_json(draft / INDEX, {"columns": columns, "files": _digests(draft)})
        try:
            os.rename(draft, folder)
        except OSError:
            if not folder.exists():  # another process may have been faster
                raise
    return folder, columns


def _checked(folder: Path) -> dict[str, Any] | None:
    """The columns of a folder, or None when it is damaged."""
    try:
        index = files.read_sealed_json(folder / INDEX)
        return index["columns"] if index["files"] == _digests(folder) else None
    except (OSError, ValueError):
        return None


def _digests(folder: Path) -> dict[str, str]:
    return {file.name: files.sha256(file) for file in sorted(folder.iterdir()) if file.name != INDEX}
