"""A data set that Hugging Face's `datasets` library saved to disk: a table, images or recordings."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgebook.errors import BadInput, one_line
from edgebook.tasks.audio import read_recordings
from edgebook.tasks.description import Description
from edgebook.tasks.extras import needed
from edgebook.tasks.folder import Listing
from edgebook.tasks.images import items_of
from edgebook.tasks.items import Items
from edgebook.tasks.splits import SPLIT_NAMES
from edgebook.tasks.table import from_table, label_columns, plain


def read(path: Path, description: Description) -> Items:
    """The items of a saved Dataset, or of a DatasetDict with its splits.

    x is a column of images or of recordings, or else all columns of numbers and of lists of equal length. Labels are named as
    the data set names them. Nothing is downloaded and no loading script runs. Raises BadInput when the library is absent.
    """
    library = needed("datasets", extra="huggingface", what="folders of the datasets library")
    try:
        loaded = library.load_from_disk(str(path))
    except Exception as error:  # the library raises many kinds
        raise BadInput(f"{path}: cannot be read by datasets.load_from_disk: {one_line(error)}") from None
    splits = None
    if isinstance(loaded, library.DatasetDict):
        splits = _splits(loaded, path)
        loaded = library.concatenate_datasets(list(loaded.values()))
    table, features = loaded.with_format("arrow")[:], loaded.features
    if splits is None and description.split:
        splits = plain(table, description.split, str(path)).astype(str)
    label = label_columns(table, description, str(path))[0]
    names = tuple(features[label].names) if isinstance(features.get(label), library.ClassLabel) else ()
    files = {name: feature for name, feature in features.items() if isinstance(feature, library.Image | library.Audio)}
    if not files:
        items = from_table(table, description, str(path), label_names=names)
        return items if splits is None else replace(items, splits=splits)
    column, feature = next(iter(files.items()))
    groups = plain(table, description.group, str(path)).astype(str) if description.group else None
    places = [f"item {number}" for number in range(len(table))]
    listing = Listing(path, places, plain(table, label, str(path)), groups, splits, class_names=names)
    return (_recordings if isinstance(feature, library.Audio) else _images)(table.column(column), listing, description)


def _splits(loaded: Any, path: Path) -> np.ndarray:
    """train, val or test of each item, in the order of the splits."""
    unknown = [name for name in loaded if name.lower() not in SPLIT_NAMES]
    if unknown:
        raise BadInput(f"{path}: split {unknown[0]!r} is unknown; allowed: {', '.join(SPLIT_NAMES)}")
    return np.repeat([SPLIT_NAMES[name.lower()] for name in loaded], [len(part) for part in loaded.values()])


def _content(cell: Any) -> io.BytesIO:
    """The bytes of an image or a recording. Raises OSError where the data set only names a file."""
    value = cell.as_py() or {}
    if not value.get("bytes"):
        raise OSError("the data set names a file instead of holding it")
    return io.BytesIO(value["bytes"])


def _recordings(cells: Any, listing: Listing, description: Description) -> Items:
    return read_recordings(lambda number: _content(cells[number]), listing, description)


def _images(cells: Any, listing: Listing, description: Description) -> Items:
    pillow = needed("PIL.Image", extra="data", what="images")
    return items_of(lambda number: pillow.open(_content(cells[number])), listing, description)
