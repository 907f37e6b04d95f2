"""Measurements that are kept beside the rows of an execution, so that it goes on where it was stopped: the scores of each file
as soon as they are there, the timings of a session when it has ended.

They are found again while nothing that decides them has changed: the bytes of the file, the items, the runtime and its version,
the code that measures, the machine, the settings. Timings that were unstable are not kept.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgebook import files
from edgebook.measure import machine
from edgebook.measure.latency import latency_columns
from edgebook.measure.measured import SCORING, Measured, Session
from edgebook.naming import short_id
from edgebook.runtimes.base import Artifact, runtime, source_path, versions
from edgebook.source_key import closure

FORMAT = b"edgebook measurement 1"
CODE = "edgebook.measure.session:measure_files"


@dataclass(frozen=True)
class Archive:
    """A folder of measurements. items: split -> digest of its items."""

    folder: Path
    items: dict[str, str]
    threads: int

    def find_scores(self, result: Measured) -> bool:
        """Whether the scores of a file were kept; they are filled in."""
        content = self._read(self._scores_of(result.artifact))
        if content is None:
            return False
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))
            result.outputs = {split: arrays[f"{split}.outputs"] for split in self.items}
            result.items = {split: arrays[f"{split}.items"] for split in self.items}
        for name in SCORING:
            setattr(result, name, about[name])
        return True

    def keep_scores(self, result: Measured) -> None:
        """Keep the scores of a file, which could be scored."""
        arrays = {f"{split}.outputs": outputs for split, outputs in result.outputs.items()}
        arrays |= {f"{split}.items": items for split, items in result.items.items()}
        about = {name: getattr(result, name) for name in SCORING}
        buffer = io.BytesIO()
        np.savez(buffer, about=np.array(json.dumps(about)), **arrays)
        files.write_sealed(self._scores_of(result.artifact), FORMAT, buffer.getvalue())

    def find_timings(self, results: list[Measured], bases: Sequence[int | None]) -> set[int]:
        """Fill in the timings that were kept with a session which has the file's base too; the indices of those files.

        bases: for each file the index of the one that it is compared with.
        """
        sessions, found = self._sessions(), set()
        for index, (result, base) in enumerate(zip(results, bases, strict=True)):
            needed = {result.key} | ({results[base].key} if base is not None else set())
            session = next((session for session in sessions if needed <= session.timings.keys()), None)
            if session:
                result.session = session
                for name, value in session.timings[result.key].items():
                    setattr(result, name, value)
                found.add(index)
        return found

    def keep(self, results: list[Measured], timed: set[int], bases: Sequence[int | None]) -> None:
        """Keep the stable timings of a session that has ended, none where that of a base was unstable; delete what none of the
        results needs any more.
        """
        stable = {index for index in timed if _is_stable(results[index])}
        if stable and timed & set(bases) <= stable:
            session = results[min(stable)].session
            timings = {results[index].key: session.timings[results[index].key] for index in stable}
            content = json.dumps(asdict(replace(session, timings=timings)))
            files.write_sealed(self.folder / f"{session.id}.session", FORMAT, content.encode())
        self._remove_others(results)

    def _remove_others(self, results: list[Measured]) -> None:
        named = {self._scores_of(result.artifact) for result in results}
        named |= {self.folder / f"{result.session.id}.session" for result in results if result.session}
        for file in {*self.folder.glob("*.scores"), *self.folder.glob("*.session")} - named:
            file.unlink(missing_ok=True)

    def _sessions(self) -> list[Session]:
        """Those that can be read, the newest first."""
        paths = sorted(self.folder.glob("*.session"), key=lambda path: -path.stat().st_mtime)
        contents = filter(None, map(self._read, paths))
        return [Session(**json.loads(content)) for content in contents]

    def _scores_of(self, artifact: Artifact) -> Path:
        most_items = artifact.columns.get("macs"), artifact.precision  # they decide how many items are scored
        return self.folder / f"{short_id(_identity(artifact, self.threads), self.items, most_items)}.scores"

    def _read(self, path: Path) -> bytes | None:
        """The content of a whole file; a damaged one is named, and its measurement is made again."""
        if not path.exists():
            return None
        try:
            return files.read_sealed(path, FORMAT)
        except ValueError as error:
            print(f"edgebook: {error}; measured again", file=sys.stderr, flush=True)
            return None


def _is_stable(result: Measured) -> bool:
    return not result.error and not latency_columns(result)["extra"].get("latency_unstable")


def digests(splits: dict[str, np.ndarray]) -> dict[str, str]:
    """Split -> digest of its items."""
    return {split: hashlib.sha256(np.ascontiguousarray(x, np.float32).tobytes()).hexdigest() for split, x in splits.items()}


def timing_key(artifact: Artifact, seconds: float, threads: int) -> str:
    """What decides the timing of a file."""
    here = {name: value for name, value in machine.describe().items() if name not in machine.MOMENTARY}
    return short_id(_identity(artifact, threads), seconds, here)


def _identity(artifact: Artifact, threads: int) -> list[Any]:
    """What decides a file's outputs: its bytes, the runtime with its version, the code that loads and measures."""
    record = runtime(artifact.runtime)
    paths = [*artifact.files, *([source_path(artifact.path)] if record.scored_by_source else [])]
    digests = [files.sha256(path) if path.exists() else None for path in paths]
    return [digests, asdict(record), versions(artifact.runtime), _code(record.folder), machine.describe()["flags"], threads]


def _code(folder: str) -> str:
    return closure(CODE, f"{folder}.load").digest
