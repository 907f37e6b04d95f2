"""Files that go with an execution to another machine and back: there is no file system that both see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from edgebook import files, paths, rows
from edgebook.errors import BadInput
from edgebook.run_folder import RUN
from edgebook.runner.execute import Run
from edgebook.runner.plan import Execution, case_of, sources
from edgebook.runner.record import Record, files_of

LEFT_BESIDE = ("logs/{name}.log", "params/{name}.yaml")  # what an execution leaves without a digest in its record


@dataclass(frozen=True)
class Parcel:
    """place -> content: of a run's folder, and of the store."""

    run: dict[str, bytes] = field(default_factory=dict)
    store: dict[str, bytes] = field(default_factory=dict)

    def unpack(self, folder: Path) -> None:
        """Write the files into a run's folder and into this machine's store, where they lack. Raises ValueError for a place
        that is not inside.
        """
        for base, contents, replace in ((folder, self.run, True), (paths.store_dir(), self.store, False)):
            for place, content in contents.items():
                path = base / place
                if not path.resolve().is_relative_to(base.resolve()):
                    raise ValueError(f"{place} is outside of {base}")
                if replace or not path.exists():
                    files.write_bytes(path, content)


def to_send(run: Run, execution: Execution) -> Parcel:
    """What an execution reads: the rows of others with their files and networks; else the baseline, where one of the same case
    has trained it.
    """
    read = sources(execution, run.executions)
    if read:
        places = [RUN, *(place for other in read for place in _rows_and_files(run.folder, other.name))]
        return Parcel(_contents(run.folder, places), _networks(run, read))
    recipe = execution.params.get("baseline_recipe")
    same = (other for other in run.cases[case_of(execution)] if other.params.get("baseline_recipe") == recipe)
    trained = (_networks(run, [other], role="baseline") for other in same)
    return Parcel(store=next(filter(None, trained), {}))


def to_return(run: Run, name: str, record: Record) -> Parcel:
    """What an execution has left: the files of its record, what it printed, and its networks."""
    places = [*record.files, *(place.format(name=name) for place in LEFT_BESIDE)]
    (execution,) = [other for other in run.executions if other.name == name]
    return Parcel(_contents(run.folder, places), _networks(run, [execution]))


def receive(parcel: Parcel, run: Run, name: str) -> dict[str, str]:
    """Take what an execution has left, in place of what was there of it; the digests of its files as they are here."""
    stale = files_of(run.folder, name).keys() - parcel.run.keys()
    parcel.unpack(run.folder)
    for place in stale:
        (run.folder / place).unlink(missing_ok=True)
    return files_of(run.folder, name)


def _rows_and_files(folder: Path, name: str) -> Iterable[str]:
    return [place for place in files_of(folder, name) if not place.startswith(("pages/", "notebooks/"))]


def _contents(folder: Path, places: Iterable[str]) -> dict[str, bytes]:
    return {place: (folder / place).read_bytes() for place in places if (folder / place).is_file()}


def _networks(run: Run, executions: Iterable[Execution], role: str | None = None) -> dict[str, bytes]:
    """The stored networks that rows of the executions name, of all roles or of one."""
    contents = {}
    for execution in executions:
        try:
            read = rows.read_rows(run.folder / "rows" / f"{execution.name}.jsonl")
        except BadInput:  # it has none yet
            continue
        for row in read:
            path = paths.stored_network(row["checkpoint"]) if row["checkpoint"] and role in (None, row["role"]) else None
            if path and path.is_file():
                contents[path.name] = path.read_bytes()
    return contents
