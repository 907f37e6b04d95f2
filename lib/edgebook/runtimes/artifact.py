"""A file that ships, and what lies beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Artifact:
    """A file that ships."""

    path: Path
    runtime: str
    precision: str
    columns: dict = field(default_factory=dict, compare=False)  # a row's columns that were known when it was made
    output: str = ""  # name of the output that is scored, of a file that has several

    @property
    def files(self) -> list[Path]:
        """The file and all that it needs to run: weights beside it (`x.onnx.data`), a sidecar (`x.json`)."""
        beside = [self.path.with_name(self.path.name + ".data"), self.path.with_suffix(".json")]
        return [self.path, *(file for file in beside if file.exists())]

    @property
    def needed(self) -> list[Path]:
        """The same, and the source of a file that is scored by it."""
        source = source_path(self.path)
        return [*self.files, *([source] if source.exists() else [])]

    @property
    def size_bytes(self) -> int:
        return sum(file.stat().st_size for file in self.files)


def source_path(path: Path) -> Path:
    """Where a file that is scored by its source keeps it: `net.source.tflite` beside `net.tflite`."""
    return path.with_name(f"{path.stem}.source{path.suffix}")
