"""What gives outputs in the accelerator's place: the LiteRT file that was compiled."""

from __future__ import annotations

import shutil
from pathlib import Path

from edgebook.runtimes.base import Program, source_path
from edgebook.runtimes.litert import load as litert


def preload() -> None:
    """Import LiteRT."""
    litert.preload()


def load(path: Path, *, threads: int = 1, shape: tuple[int, ...] = ()) -> Program:
    """The program of the file's source."""
    source, beside = source_path(path), path.with_suffix(".json")
    if beside.exists():
        shutil.copyfile(beside, source.with_suffix(".json"))
    return litert.load(source, threads=threads)
