"""Folders of files: which there are, their labels by folder or from a table, their groups and splits."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from edgebook.errors import BadInput
from edgebook.tasks.description import Description
from edgebook.tasks.splits import SPLIT_NAMES
from edgebook.tasks.table import plain, read_table

LEFT_OUT = (".", "_")  # beginnings of names that are no class, such as _background_noise_
COLUMNS = ("file", "label", "group", "split")


@dataclass(frozen=True)
class Listing:
    """Files in the order of their paths. names: relative to the folder. broken: number of a file -> what is wrong with it."""

    folder: Path
    names: list[str]
    labels: np.ndarray
    groups: np.ndarray | None = None
    splits: np.ndarray | None = None
    broken: dict[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()  # of labels that are numbers 0, 1, ...

    def path(self, number: int) -> Path:
        """The file of an item."""
        return self.folder / self.names[number]


def listed(folder: Path, extensions: tuple[str, ...], description: Description) -> Listing:
    """The files of a folder: `<class>/...`, `<split>/<class>/...`, or those that the table `items` names.

    Raises BadInput for a folder without such files, for a class folder without any, for a group pattern that fits nothing.
    """
    listing = _by_table(folder, description) if description.items else _by_folder(folder, extensions)
    if not listing.names:
        raise BadInput(f"{folder}: has no files in folders of classes; allowed: {', '.join(extensions)}")
    if description.group and not description.items:
        listing = with_groups(listing, description.group)
    return replace(listing, broken=listing.broken | dict(_outside(listing)))


def _by_folder(folder: Path, extensions: tuple[str, ...]) -> Listing:
    tops = [entry.name for entry in sorted(folder.iterdir()) if entry.is_dir() and not entry.name.startswith(LEFT_OUT)]
    has_splits = {"train", "test"} <= {SPLIT_NAMES.get(name.lower(), "") for name in tops}
    depth = 1 if has_splits else 0
    names, n_others = [], 0
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if len(parts) <= depth + 1 or not path.is_file() or any(part.startswith(LEFT_OUT) for part in parts):
            continue
        if path.suffix.lower() in extensions:
            names.append("/".join(parts))
        else:
            n_others += 1
    labels = [name.split("/")[depth] for name in names]
    _check_no_empty_class(folder, tops if not has_splits else [], set(labels), extensions)
    splits = [SPLIT_NAMES.get(name.split("/")[0].lower(), "") for name in names] if has_splits else None
    if splits and "" in splits:
        other = names[splits.index("")].split("/")[0]
        raise BadInput(f"{folder}: {other} stands beside train and test; allowed: {', '.join(SPLIT_NAMES)}")
    notes = (f"{n_others} files of other kinds are left out",) if n_others else ()
    return Listing(folder, names, np.array(labels), splits=None if splits is None else np.array(splits), notes=notes)


def _check_no_empty_class(folder: Path, classes: list[str], present: set[str], extensions: tuple[str, ...]) -> None:
    empty = [name for name in classes if name not in present]
    if empty:
        raise BadInput(f"{folder}: class {empty[0]!r} has no file; allowed: {', '.join(extensions)} in each folder of a class")


def _by_table(folder: Path, description: Description) -> Listing:
    """The files that a table names; one that is absent is broken."""
    file = Path(description.items or "")
    table = read_table(file)
    columns = {name: plain(table, name, str(file)) for name in COLUMNS if name in table.column_names or name in COLUMNS[:2]}
    names = [str(name) for name in columns["file"].tolist()]
    broken = {n: "is no file" for n, name in enumerate(names) if not (folder / name).is_file()}
    groups = columns.get("group")
    return Listing(folder, names, columns["label"], None if groups is None else groups.astype(str), columns.get("split"), broken)


def with_groups(listing: Listing, pattern: str) -> Listing:
    """The group of each file: what the first bracket of the pattern finds in its name."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise BadInput(f"{listing.folder}: group = {pattern!r} is no pattern: {error}; allowed: a regular expression") from None
    if compiled.groups < 1:
        raise BadInput(f"{listing.folder}: group = {pattern!r} has no bracket; allowed: a pattern such as '/([^_]+)_'")
    found = [compiled.search(name) for name in listing.names]
    if not any(found):
        raise BadInput(f"{listing.folder}: group = {pattern!r} fits no file; allowed: a pattern that fits {listing.names[0]}")
    broken = {number: f"has no group by {pattern!r}" for number, match in enumerate(found) if match is None}
    groups = np.array([match[1] or "" if match else "" for match in found])
    return replace(listing, groups=groups, broken=listing.broken | broken)


def _outside(listing: Listing) -> Iterator[tuple[int, str]]:
    """Files that are not in the folder: `..`, absolute paths, links that lead elsewhere."""
    root = os.path.realpath(listing.folder) + os.sep
    for number, name in enumerate(listing.names):
        if not os.path.realpath(listing.folder / name).startswith(root):
            yield number, "leaves the folder"
