"""The user's own data as arrays in one .npz file, checked when it is loaded."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from edgebook.errors import BadInput
from edgebook.tasks.description import Description
from edgebook.tasks.items import Items

PARTS = ("train", "val", "test")
OF_ITEMS = ("x", "y", "groups")  # arrays with one entry for each item: whole, or one for each split
ALLOWED = (*(f"{name}_{part}" for part in PARTS for name in ("x", "y")), "x", "y", "groups")
ALLOWED += (*(f"groups_{part}" for part in PARTS), "kind", "class_names")
Arrays = dict[str, np.ndarray]


def read(path: Path, description: Description) -> Items:
    """Items from `x_train, y_train, x_test, y_test` and optionally `x_val, y_val`, or from `x, y` that are still to be split.

    x is used as given, as float32: (n, features), (n, C, T) or (n, C, H, W). y: labels (n,), whole numbers or texts; values
    (n,) or (n, k); classes of pixels (n, H, W). groups: whom each item is from, (n,), whole or for each split. class_names:
    for labels 0, 1, ... kind: of the task. Raises BadInput, one line that names the file and the key.
    """
    arrays = _arrays(path)
    parts = ["", *(f"_{part}" for part in PARTS)]
    parts = [part for part in parts if f"x{part}" in arrays]
    x = [_values(path, f"x{part}", arrays) for part in parts]
    for part, items in zip(parts, x):
        if items.shape[1:] != x[0].shape[1:]:
            raise _bad(path, f"x{part}", f"has items of shape {items.shape[1:]}", f"{x[0].shape[1:]}, as in x{parts[0]}")
    y = [_labels(path, f"y{part}", arrays, len(items)) for part, items in zip(parts, x)]
    _same_labels(path, parts, y)
    splits = None if parts == [""] else np.repeat([part[1:] for part in parts], [len(items) for items in x])
    starts = np.cumsum([0, *(len(items) for items in x)])

    def place(number: int) -> str:
        part = int(np.searchsorted(starts, number, side="right")) - 1
        return f"x{parts[part]}[{number - starts[part]}]"

    return Items(
        np.concatenate(x) if len(x) > 1 else x[0],
        np.concatenate(y) if len(y) > 1 else y[0],
        place,
        "items as in the file",
        _groups(path, parts, arrays, [len(items) for items in x]),
        splits,
        class_names=_class_names(path, arrays),
        kind=_kind(path, arrays),
    )


def _kind(file: Path, arrays: Arrays) -> str:
    given = arrays.get("kind", np.array(""))
    if given.ndim or given.dtype.kind != "U":
        raise _bad(file, "kind", f"has dtype {given.dtype}, shape {given.shape}", "one text")
    return str(given)


def _bad(file: Path, key: str, given: str, allowed: str) -> BadInput:
    return BadInput(f"{file}: {key} {given}; allowed: {allowed}")


def _arrays(file: Path) -> Arrays:
    try:
        with np.load(file, allow_pickle=False) as archive:
            keys = list(archive.keys())
            arrays = {key: archive[key] for key in keys if key in ALLOWED}
    except (OSError, EOFError, ValueError, AttributeError, TypeError, zlib.error, zipfile.BadZipFile) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise BadInput(f"{file} cannot be read as .npz: {reason}; allowed: plain arrays, nothing pickled") from error
    unknown = [key for key in keys if key not in arrays]
    if unknown:  # a mistyped x_val would otherwise be passed over in silence
        raise _bad(file, ", ".join(unknown), "unknown", ", ".join(ALLOWED))
    needed = ("x", "y") if "x" in keys else ("x_train", "y_train", "x_test", "y_test")
    needed += ("x_val", "y_val") if {"x_val", "y_val"} & set(keys) else ()
    missing = [key for key in needed if key not in keys]
    if missing:
        raise _bad(file, ", ".join(missing), "missing", ", ".join(ALLOWED))
    if "x" in keys and (given := [key for key in keys if key.startswith(("x_", "y_", "groups_"))]):
        raise _bad(file, ", ".join(given), "stands beside x and y", "either x and y, or x_train, y_train, ...")
    return arrays


def _values(file: Path, key: str, arrays: Arrays) -> np.ndarray:
    array = arrays[key]
    if array.dtype.kind not in "biuf":
        raise _bad(file, key, f"has dtype {array.dtype}", "numbers")
    if array.ndim < 2 or array.size == 0:
        raise _bad(file, key, f"has shape {array.shape}", "(n, features), (n, C, T) or (n, C, H, W), not empty")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes inf, and counts as broken
        return np.ascontiguousarray(array, dtype=np.float32)


def _labels(file: Path, key: str, arrays: Arrays, n: int) -> np.ndarray:
    array = arrays[key]
    if array.dtype.kind not in "iufbU":
        raise _bad(file, key, f"has dtype {array.dtype}", "whole numbers, texts or values")
    if array.ndim not in (1, 2, 3) or len(array) != n:
        raise _bad(file, key, f"has shape {array.shape}", f"({n},), one label for each item of x{key[1:]}")
    return array


def _same_labels(file: Path, parts: list[str], y: list[np.ndarray]) -> None:
    """Raises BadInput when splits have labels of different kinds: concatenated, numbers would become texts."""
    for part, labels in zip(parts, y):
        kinds = {"i": "whole numbers", "u": "whole numbers", "b": "whole numbers", "f": "values", "U": "texts"}
        first, here = kinds[y[0].dtype.kind], kinds[labels.dtype.kind]
        if here != first or labels.shape[1:] != y[0].shape[1:]:
            given = f"has {here} (dtype {labels.dtype}) of shape {labels.shape[1:]}"
            raise _bad(file, f"y{part}", given, f"{first} of shape {y[0].shape[1:]}, as in y{parts[0]}")


def _groups(file: Path, parts: list[str], arrays: Arrays, sizes: list[int]) -> np.ndarray | None:
    given = [f"groups{part}" for part in parts if f"groups{part}" in arrays]
    whole = "groups" in arrays and parts != [""]
    if whole or not given:
        given, sizes = (["groups"], [sum(sizes)]) if whole else ([], [])
    elif len(given) < len(parts):
        raise _bad(file, ", ".join(given), "given for a part of the splits", f"groups for each of {', '.join(parts)}")
    for key, n in zip(given, sizes):
        if arrays[key].shape != (n,) or arrays[key].dtype.kind not in "iubU":
            raise _bad(file, key, f"has dtype {arrays[key].dtype}, shape {arrays[key].shape}", f"({n},) texts or whole numbers")
    return np.concatenate([arrays[key].astype(str) for key in given]) if given else None


def _class_names(file: Path, arrays: Arrays) -> tuple[str, ...]:
    if "class_names" not in arrays:
        return ()
    names = arrays["class_names"]
    if names.ndim != 1 or names.dtype.kind != "U" or names.size == 0:
        raise _bad(file, "class_names", f"has dtype {names.dtype}, shape {names.shape}", "(classes,) of strings")
    if len(set(names.tolist())) < len(names):
        raise _bad(file, "class_names", "names a class twice", "different names")
    return tuple(names.tolist())
