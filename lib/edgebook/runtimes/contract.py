"""What every runtime must offer, checked when its record is registered and, with its modules imported, by the tests."""

from __future__ import annotations

import importlib.util
import inspect
from typing import TYPE_CHECKING

from edgebook.vocabulary import MARKERS, PRECISIONS

if TYPE_CHECKING:
    from edgebook.runtimes.base import Runtime

LOAD = {"preload": (), "load": ("path", "threads", "shape")}
CONVERT = {"convert": ("model", "example", "path")}
QUANTIZE = {"quantize": ("source", "path", "quant", "items")}
DERIVE = {"derive": ("parent_path", "path", "name")}
FINISH = {"finish": ("whole_path", "path", "items")}
INSPECT = {"inspect": ("path",)}


def required(record: Runtime) -> dict[str, dict[str, tuple[str, ...]]]:
    """Side -> function -> names of its arguments, of all that the record promises."""
    makes = DERIVE if record.parent else CONVERT | (QUANTIZE if record.quantizes != "nothing" else {})
    sides = {"load": LOAD, "export": makes | (FINISH if record.finishes else {})}
    return sides | ({"inspect": INSPECT} if record.inspects else {})


def registered(*records: Runtime) -> dict[str, Runtime]:
    """The records by name, parents before those that take their files. Raises ValueError for one that breaks the contract."""
    table: dict[str, Runtime] = {}
    for record in records:
        check_record(record, table)
        table[record.name] = record
    return table


def check_record(record: Runtime, others: dict[str, Runtime]) -> None:
    """Raises ValueError for a record that contradicts itself or the others; imports none of its modules."""
    if record.name in others:
        raise ValueError(f"runtime {record.name} is registered twice")
    if record.name not in MARKERS:
        raise ValueError(f"runtime {record.name} has no marker in vocabulary.MARKERS")
    if unknown := {*record.precisions, *record.reference_kernels} - PRECISIONS.keys():
        raise ValueError(f"runtime {record.name}: no such precision: {', '.join(sorted(unknown))}")
    if record.parent and record.parent not in others:
        raise ValueError(f"runtime {record.name}: its parent {record.parent!r} is not registered before it")
    if record.parent and (record.quantizes != "nothing" or record.finishes):
        raise ValueError(f"runtime {record.name} takes its parent's files: it neither quantizes nor finishes any")
    if record.scored_by_source and not record.parent:
        raise ValueError(f"runtime {record.name}: scored_by_source needs a parent")
    if not record.parent and record.quantizes == "nothing" and record.precisions != ("fp32",):
        raise ValueError(f"runtime {record.name} quantizes nothing, so that it has fp32 only")
    for side in required(record):
        if importlib.util.find_spec(f"{record.folder}.{side}") is None:
            raise ValueError(f"runtime {record.name}: {record.folder} has no {side}.py")


def check_sides(record: Runtime) -> None:
    """Raises ValueError when a side lacks a function of the contract, or the function takes other arguments. Imports them."""
    for side, functions in required(record).items():
        module = record.side(side)
        for name, arguments in functions.items():
            function = getattr(module, name, None)
            if not callable(function):
                raise ValueError(f"runtime {record.name}: {record.folder}.{side} has no function {name}")
            actual = tuple(inspect.signature(function).parameters)
            if actual[: len(arguments)] != arguments:
                raise ValueError(f"runtime {record.name}: {side}.{name} takes {actual}; needed: {arguments}")
