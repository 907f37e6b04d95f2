"""What the folder of a run says about itself: which executions belong to it, and whether their rows are as they were left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgebook import files

RUN = "run.json"


def write_run(folder: Path, preset: str, executions: list[str]) -> None:
    """Keep the preset of a run and the names of its executions, in order."""
    files.write_sealed_json(Path(folder) / RUN, {"preset": preset, "executions": executions})


def executions_of(folder: Path) -> list[str] | None:
    """The executions that the preset of a run names, in order; None where that was not kept.

    Raises ValueError, with the file and the reason, where it cannot be read.
    """
    path = Path(folder) / RUN
    return list(files.read_sealed_json(path)["executions"]) if path.is_file() else None


def rows_files(folder: Path) -> tuple[list[Path], list[str]]:
    """(files of rows of the executions that the preset names, all where that is not known; what is wrong, a line each)."""
    paths, problems = sorted((Path(folder) / "rows").glob("*.jsonl")), list[str]()
    try:
        names = executions_of(folder)
        paths = paths if names is None else [path for path in paths if path.stem in names]
    except ValueError as error:
        problems.append(f"{_relative(error, folder)}; all executions are shown")
    changed = [path.name for path in paths if _digest(folder, path) not in (None, files.sha256(path))]
    problems += [f"{name}: differs from what was measured; `edgebook run` measures it again" for name in changed]
    return paths, problems


def _digest(folder: Path, path: Path) -> Any:
    """What the record of an execution says that its rows are; None where it says nothing."""
    try:
        record = files.read_sealed_json(Path(folder) / "state" / f"{path.stem}.json")
    except ValueError:  # the next `edgebook run` says so, and executes again
        return None
    return record["files"].get(f"rows/{path.name}")


def _relative(error: ValueError, folder: Path) -> str:
    return str(error).removeprefix(f"{folder}/")
