"""The user's own data as arrays in one .npz file, checked when it is loaded."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from pathlib import Path

import numpy as np
import psutil

from edgebook.errors import BadInput, line_of
from edgebook.tasks.description import Description
from edgebook.tasks.items import Items
from edgebook.tasks.task import SPLITS

ALLOWED = (*(f"{name}_{part}" for part in SPLITS for name in ("x", "y")), "x", "y", "groups")
ALLOWED += (*(f"groups_{part}" for part in SPLITS), "kind", "class_names")
COLOURS = (3, 4)  # channels of an image, by which channels last are told from channels first
LEAST_SIDE = 8  # pixels of such an image
RAW = (32, 255)  # between these is the largest value of images with levels of 8 bits; of digits and shares it is smaller
TRANSPOSED = "images of shape (n, height, width, channels) were turned into (n, channels, height, width)"
LEVELS = "levels 0..255, brought to mean 0 and deviation 1 per channel"
UNREADABLE = (OSError, EOFError, ValueError, AttributeError, TypeError, KeyError, RuntimeError, MemoryError, SyntaxError)
UNREADABLE += (zlib.error, lzma.LZMAError, zipfile.BadZipFile)  # what numpy and zipfile raise for damaged, foreign or encrypted
Arrays = dict[str, np.ndarray]


def read(path: Path, description: Description) -> Items:
    """Items from `x_train, y_train, x_test, y_test` and optionally `x_val, y_val`, or from `x, y` that are still to be split.

    x is used as given, as float32: (n, features), (n, C, T) or (n, C, H, W). y: labels (n,), whole numbers or texts; values
    (n,) or (n, k); classes of pixels (n, H, W). groups: whom each item is from, (n,), whole or for each split. class_names:
    for labels 0, 1, ... kind: of the task. Images with channels last are transposed, and raw levels 0..255 are to be brought to
    one scale; both become notes. Raises BadInput, one line that names the file and the key.
    """
    return from_arrays(path, read_arrays(path), description)


def from_arrays(path: Path, arrays: Arrays, description: Description) -> Items:
    """The same of the arrays of a file that were read."""
    _check_keys(path, arrays)
    parts = ["", *(f"_{part}" for part in SPLITS)]
    parts = [part for part in parts if f"x{part}" in arrays]
    x, notes = as_images([values(path, f"x{part}", arrays) for part in parts])
    is_raw = has_levels(x)
    for part, items in zip(parts, x):
        if items.shape[1:] != x[0].shape[1:]:
            raise _bad(path, f"x{part}", f"has items of shape {items.shape[1:]}", f"{x[0].shape[1:]}, as in x{parts[0]}")
    y = [labels_of(path, f"y{part}", arrays, len(items)) for part, items in zip(parts, x)]
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
        "levels, 0..255" if is_raw else "items as in the file",
        _groups(path, parts, arrays, [len(items) for items in x]),
        splits,
        class_names=class_names(path, arrays),
        kind=_kind(path, arrays),
        notes=(*notes, LEVELS) if is_raw and description.standardize is not False else notes,
        is_raw=is_raw,
    )


def as_images(x: list[np.ndarray]) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """(the arrays, notes): images with channels last are transposed, where the shape leaves no doubt."""
    _, height, width, channels = x[0].shape if x[0].ndim == 4 else (0, 0, 0, 0)
    is_last = channels in COLOURS or (channels == 1 and height == width)  # one channel: (n, 9, 128, 1) may be nine sensors
    if not is_last or min(height, width) < LEAST_SIDE:
        return x, ()
    return [np.ascontiguousarray(np.moveaxis(part, -1, 1)) for part in x], (TRANSPOSED,)


def has_levels(x: list[np.ndarray]) -> bool:
    """Whether images hold levels of 8 bits as they are: whole numbers from 0 to 255."""
    if x[0].ndim != 4 or not RAW[0] < max(float(part.max()) for part in x) <= RAW[1]:
        return False
    return all(part.min() >= 0 and (part == np.floor(part)).all() for part in x)


def _kind(file: Path, arrays: Arrays) -> str:
    given = arrays.get("kind", np.array(""))
    if given.ndim or given.dtype.kind != "U":
        raise _bad(file, "kind", f"has dtype {given.dtype}, shape {given.shape}", "one text")
    return str(given)


def _bad(file: Path, key: str, given: str, allowed: str) -> BadInput:
    return BadInput(f"{file}: {key} {given}; allowed: {allowed}")


def read_arrays(file: Path) -> Arrays:
    """The arrays of a file by their keys. Raises BadInput for one that cannot be read, that memory cannot hold, or whose keys are
    not in ALLOWED.
    """
    try:
        with zipfile.ZipFile(file) as members:
            n_bytes = sum(member.file_size for member in members.infolist())
        if n_bytes > psutil.virtual_memory().available / 2:
            raise MemoryError(f"its arrays take {n_bytes / 1e9:.1f} GB")
        with np.load(file, allow_pickle=False) as archive:
            keys = list(archive.keys())
            arrays = {key: archive[key] for key in keys if key in ALLOWED}
    except UNREADABLE as error:
        reason = (line_of(str(error)) or type(error).__name__)[:200]
        raise BadInput(f"{file} cannot be read as .npz: {reason}; allowed: plain arrays, nothing pickled") from error
    unknown = [key for key in keys if key not in arrays]
    if unknown:  # a mistyped x_val would otherwise be passed over in silence
        raise _bad(file, ", ".join(unknown)[:200], "unknown", ", ".join(ALLOWED))
    if wrong := [key for key, array in arrays.items() if not isinstance(array, np.ndarray)]:
        raise _bad(file, wrong[0], "is no array", "arrays as numpy writes them")
    return arrays


def _check_keys(file: Path, arrays: Arrays) -> None:
    """Raises BadInput for arrays that are missing, or that contradict each other."""
    keys = list(arrays)
    needed = ("x", "y") if "x" in keys else ("x_train", "y_train", "x_test", "y_test")
    needed += ("x_val", "y_val") if {"x_val", "y_val"} & set(keys) else ()
    missing = [key for key in needed if key not in keys]
    if missing:
        raise _bad(file, ", ".join(missing), "missing", ", ".join(ALLOWED))
    if "x" in keys and (given := [key for key in keys if key.startswith(("x_", "y_", "groups_"))]):
        raise _bad(file, ", ".join(given), "stands beside x and y", "either x and y, or x_train, y_train, ...")


def values(file: Path, key: str, arrays: Arrays) -> np.ndarray:
    """The items under a key, float32 (n, ...). Raises BadInput for what is no items."""
    array = arrays[key]
    if array.dtype.kind not in "biuf":
        raise _bad(file, key, f"has dtype {array.dtype}", "numbers")
    if array.ndim < 2 or array.size == 0:
        raise _bad(file, key, f"has shape {array.shape}", "(n, features), (n, C, T) or (n, C, H, W), not empty")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes inf, and counts as broken
        return np.ascontiguousarray(array, dtype=np.float32)


def labels_of(file: Path, key: str, arrays: Arrays, n: int) -> np.ndarray:
    """The labels of n items under a key. Raises BadInput for what is no labels."""
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


def class_names(file: Path, arrays: Arrays) -> tuple[str, ...]:
    """The names of classes 0, 1, ..., or (). Raises BadInput for what is no list of different texts."""
    if "class_names" not in arrays:
        return ()
    names = arrays["class_names"]
    if names.ndim != 1 or names.dtype.kind != "U" or names.size == 0:
        raise _bad(file, "class_names", f"has dtype {names.dtype}, shape {names.shape}", "(classes,) of strings")
    if len(set(names.tolist())) < len(names):
        raise _bad(file, "class_names", "names a class twice", "different names")
    return tuple(names.tolist())
