"""What is kept of an execution: its key, how it ended, and the digests of all files that it left. Believed only if they agree."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

from edgebook import files

SCHEMA = 3
TYPES = {"key": str, "status": str, "reason": str | None, "error": str | None, "seconds": int | float, "files": dict}


@dataclass(frozen=True)
class Record:
    """status: ok or failed, with a reason of `vocabulary.REASONS`. files: path relative to the run's folder -> sha256."""

    key: str
    status: str
    reason: str | None = None
    error: str | None = None
    seconds: float = 0.0
    files: dict[str, str] = field(default_factory=dict)


def record_path(folder: Path, name: str) -> Path:
    """Where the record of an execution is."""
    return folder / "state" / f"{name}.json"


def write_record(folder: Path, name: str, record: Record) -> None:
    """Keep a record, last of all that an execution writes."""
    files.write_sealed_json(record_path(folder, name), {"schema": SCHEMA, **asdict(record)})


def files_of(folder: Path, name: str) -> dict[str, str]:
    """Digests of everything that an execution has left in the run's folder."""
    single = [("rows", "jsonl"), ("pages", "html"), ("notebooks", "ipynb"), ("samples", "npz")]
    left = [folder / place / f"{name}.{extension}" for place, extension in single]
    left += sorted((folder / "artifacts" / name).rglob("*"))
    return {str(file.relative_to(folder)): files.sha256(file) for file in left if file.is_file()}


def last_seconds(folder: Path, name: str) -> float | None:
    """What an execution took when it went well the last time, with whatever key; None when there was no such time."""
    record = read_record(folder, name)
    return record.seconds if record and record.status == "ok" else None


def find_record(folder: Path, name: str, key: str) -> tuple[Record | None, str | None]:
    """(the record, None) of an execution that went well with this key and whose files are as it left them.

    (None, why) when something is missing or damaged, (None, None) when there is nothing to be believed in.
    """
    path = record_path(folder, name)
    if not path.exists():
        return None, None
    record = read_record(folder, name)
    if record is None:
        return None, f"state/{name}.json is damaged"
    if record.status != "ok" or record.key != key:
        return None, None
    for place, digest in record.files.items():
        if not (folder / place).is_file():
            return None, f"{place} is missing"
        if files.sha256(folder / place) != digest:
            return None, f"{place} is damaged"
    return record, None


def read_record(folder: Path, name: str) -> Record | None:
    """The record of an execution, whatever its key; None where there is none that can be read."""
    try:
        content = files.read_sealed_json(record_path(folder, name))
    except ValueError:
        return None
    if content.pop("schema", None) != SCHEMA or content.keys() != TYPES.keys():
        return None
    if not all(isinstance(content[name], type_) for name, type_ in TYPES.items()):
        return None
    return Record(**content)
