"""The user's own tables, CSV, TSV or Parquet: one row per item, or in long format one row per item and time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgebook.errors import BadInput, line_of
from edgebook.tasks.description import Description
from edgebook.tasks.extras import needed
from edgebook.tasks.items import Items, check_memory
from edgebook.tasks.sequences import from_rows

if TYPE_CHECKING:
    import pyarrow

LABELS = ("label", "class", "target", "y")  # what a label's column may be called without being told
SEPARATORS = ",;\t"
PARQUET = ".parquet"
LISTED = 12  # names of columns in a message


def read(path: Path, description: Description) -> Items:
    """The items of a table; in a Parquet file a column of lists of equal length is a channel of a sequence."""
    is_parquet = path.suffix.lower() == PARQUET
    first_row = 0 if is_parquet else 2 if description.header else 1
    return from_table(read_table(path, header=description.header), description, str(path), first_row=first_row)


def read_table(path: Path, *, header: bool = True) -> pyarrow.Table:
    """A table in memory: Parquet, or a text whose separator is that of `,`, `;` and tab which its first line has most often.

    Raises BadInput for a file that cannot be read.
    """
    reader = _read_parquet if path.suffix.lower() == PARQUET else _read_csv
    try:
        return reader(path, header)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror or line_of(str(error))}") from None
    except ValueError as error:  # pyarrow's own errors are ValueErrors
        raise BadInput(f"{path}: is not a table: {line_of(str(error))}") from None


def _read_csv(path: Path, header: bool) -> pyarrow.Table:
    csv = needed("pyarrow.csv", extra="data", what="tables")
    with open(path, encoding="utf-8", errors="replace") as file:
        first = file.readline()
    parse = csv.ParseOptions(delimiter=max(SEPARATORS, key=first.count))
    options = csv.ReadOptions(autogenerate_column_names=not header)
    return csv.read_csv(
        path, read_options=options, parse_options=parse, convert_options=csv.ConvertOptions(strings_can_be_null=True)
    )


def _read_parquet(path: Path, header: bool) -> pyarrow.Table:
    return needed("pyarrow.parquet", extra="data", what="tables").read_table(path)


def from_table(
    table: pyarrow.Table, description: Description, where: str, *, first_row: int = 0, label_names: tuple[str, ...] = ()
) -> Items:
    """The items of a table in memory. first_row: what users call its first row. label_names: of labels 0, 1, ...

    Raises BadInput for columns that are absent or hold no numbers.
    """
    _check_table(table, where)
    label = label_columns(table, description, where)
    taken = [*label, *filter(None, (description.group, description.split, description.item, description.time))]
    features = description.features or [name for name in table.column_names if name not in {*taken, *description.ignore}]
    if twice := sorted(set(features) & set(taken)):
        raise BadInput(f"{where}: features has {', '.join(twice)}, which is something else already; allowed: other columns")
    labels = [plain(table, name, where) for name in label]
    texts = {name: plain(table, name, where).astype(str) for name in taken if name not in (*label, description.time)}
    missing = {name: _column(table, name, where).is_null(nan_is_null=True) for name in dict.fromkeys(taken)}
    items = Items(
        numbers(table, features, where),
        np.stack(labels, 1) if len(labels) > 1 else labels[0],
        lambda number: f"row {number + first_row}",
        f"columns {_listed(features)}",
        texts.get(description.group or ""),
        texts.get(description.split or ""),
        broken={int(row): f"has no {name}" for name, mask in missing.items() for row in np.flatnonzero(np.asarray(mask))},
        settings={"columns": features},
        class_names=label_names,
    )
    if description.item:
        return from_rows(items, texts[description.item], plain(table, description.time or "", where), description, where)
    return _as_channels(items, description, where)


def plain(table: pyarrow.Table, name: str, where: str) -> np.ndarray:
    """A column (n,) as numbers, or as texts where it holds anything else; what is missing is 0 or ""."""
    column, types = _column(table, name, where), needed("pyarrow.types", extra="data", what="tables")
    if types.is_integer(column.type) or types.is_boolean(column.type):
        return np.asarray(column.fill_null(False if types.is_boolean(column.type) else 0))
    if types.is_floating(column.type) or types.is_null(column.type):
        return np.nan_to_num(np.asarray(column.cast("float64")), posinf=np.inf, neginf=-np.inf)
    return np.array(["" if value is None else str(value) for value in column.to_pylist()])


def numbers(table: pyarrow.Table, names: list[str], where: str) -> np.ndarray:
    """Columns as float32 (n, columns), or (n, columns, length) where they hold lists; what is missing is NaN."""
    if not names:
        raise BadInput(f"{where}: no column is left for x; allowed: one or more beside the label ({_listed(table.column_names)})")
    parts = [_numbers(table, name, where) for name in names]
    if len({part.shape for part in parts}) > 1:
        raise BadInput(f"{where}: columns of numbers stand beside columns of lists; allowed: features: of one sort")
    shape = (len(parts[0]), len(parts), *parts[0].shape[1:])
    check_memory(shape, where)
    x = np.empty(shape, np.float32)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes inf, and counts as broken
        for number, part in enumerate(parts):
            x[:, number] = part
    return x


def _numbers(table: pyarrow.Table, name: str, where: str) -> np.ndarray:
    column, types = _column(table, name, where), needed("pyarrow.types", extra="data", what="tables")
    if types.is_list(column.type) or types.is_fixed_size_list(column.type) or types.is_large_list(column.type):
        return _lists(column.to_pylist(), name, where)
    if not (types.is_integer(column.type) or types.is_floating(column.type) or types.is_boolean(column.type)):
        value = next((value for value in column.to_pylist() if value is not None), None)
        given = f"column {name!r} holds {column.type}, such as {str(value)!r:.40}"
        raise BadInput(f"{where}: {given}; allowed: numbers, or ignore: [{name}] to leave it out")
    return column.cast("float64", safe=False).to_numpy(zero_copy_only=False)


def _lists(rows: list[list[float] | None], name: str, where: str) -> np.ndarray:
    length = len(rows[0] or [])
    wrong = next((number for number, row in enumerate(rows) if row is None or len(row) != length), None)
    if wrong is not None or not length:
        given = f"column {name!r} has a list of {len(rows[wrong or 0] or [])} in row {wrong or 0}"
        raise BadInput(f"{where}: {given}; allowed: lists of one length, here {length or 'above 0'}")
    return np.array(rows, np.float32)


def _column(table: pyarrow.Table, name: str, where: str) -> Any:
    if name not in table.column_names:
        raise BadInput(f"{where}: there is no column {name!r}; allowed: {_listed(table.column_names)}")
    return table.column(name).combine_chunks()


def _check_table(table: pyarrow.Table, where: str) -> None:
    names = table.column_names
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadInput(f"{where}: two columns are called {twice[0]!r}; allowed: different names")
    if table.num_rows == 0:
        raise BadInput(f"{where}: has no rows; allowed: one or more")


def label_columns(table: pyarrow.Table, description: Description, where: str) -> list[str]:
    """As described, else the one column that is called as labels are."""
    if description.label:
        return [description.label] if isinstance(description.label, str) else description.label
    found = [name for name in table.column_names if name.lower() in LABELS]
    if len(found) != 1:
        given = f"columns {', '.join(found)} may all be the label" if found else f"no column is called {', '.join(LABELS)}"
        raise BadInput(f"{where}: {given}; allowed: label: one of {_listed(table.column_names)}")
    return found


def _listed(names: list[str]) -> str:
    return ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "")


def _as_channels(items: Items, description: Description, where: str) -> Items:
    """(n, columns) as (n, channels, length), where the description has channels: one after the other in a row."""
    if description.channels is None:
        return items
    n, n_columns = items.x.shape[:2]
    if items.x.ndim != 2 or n_columns % description.channels:
        given = f"channels = {description.channels} of {n_columns} columns"
        raise BadInput(f"{where}: {given}; allowed: a number that divides the columns")
    return replace(items, x=items.x.reshape(n, description.channels, -1))
