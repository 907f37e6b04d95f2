"""The user's own data: arrays in one .npz file, checked when it is loaded."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch

from edgebook.errors import BadInput
from edgebook.tasks.splits import split_validation
from edgebook.tasks.task import Task

REQUIRED = ("x_train", "y_train", "x_test", "y_test")
ALLOWED = (*REQUIRED, "x_val", "y_val", "class_names")


def npz(path: str | Path) -> Task:
    """A classification Task from `x_train, y_train, x_test, y_test` and optionally `x_val, y_val, class_names`.

    x is used as given, as float32: (n, features), (n, C, T) or (n, C, H, W). y holds labels 0..classes-1, (n,).
    Without x_val and y_val a fixed tenth of the training items (5,000 at most) is held out.
    Raises BadInput, one line that names the file and the key, for anything that cannot be used.
    """
    file = Path(path).expanduser()
    arrays = _read(file)
    parts = [part for part in ("train", "val", "test") if f"x_{part}" in arrays]
    x = {part: _items(file, f"x_{part}", arrays) for part in parts}
    y = {part: _labels(file, f"y_{part}", arrays, len(x[part])) for part in parts}
    _same_item_shape(file, x)
    names = _class_names(file, arrays, y["train"])
    for part in parts:
        _in_range(file, f"y_{part}", y[part], len(names))
    if "val" not in x:
        if len(x["train"]) < 2:
            raise _bad(file, "x_train", f"has {len(x['train'])} item", "2 or more, as some are held out for validation")
        x["train"], y["train"], x["val"], y["val"] = split_validation(x["train"], y["train"])
    return Task(
        file.stem,
        *(split[part] for part in ("train", "val", "test") for split in (x, y)),
        class_names=names,
        preprocess={"raw": "items as in the file", "scale": 1.0, "offset": 0.0},
        licence="the user's own",
        source=str(file),
    )


def _bad(file: Path, key: str, given: str, allowed: str) -> BadInput:
    return BadInput(f"{file}: {key} {given}; allowed: {allowed}")


def _read(file: Path) -> dict[str, np.ndarray]:
    if not file.is_file():
        raise BadInput(f"task {file}: no such file; allowed: an .npz with {', '.join(REQUIRED)}")
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
    needed = REQUIRED + (("x_val", "y_val") if {"x_val", "y_val"} & set(keys) else ())
    missing = [key for key in needed if key not in keys]
    if missing:
        raise _bad(file, ", ".join(missing), "missing", ", ".join(ALLOWED))
    return arrays


def _items(file: Path, key: str, arrays: dict[str, np.ndarray]) -> torch.Tensor:
    array = arrays[key]
    if array.dtype.kind not in "biuf":
        raise _bad(file, key, f"has dtype {array.dtype}", "numbers")
    if array.ndim < 2 or array.size == 0:
        raise _bad(file, key, f"has shape {array.shape}", "(n, features), (n, C, T) or (n, C, H, W), not empty")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes inf, and is refused below
        items = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
    n_bad = int((~torch.isfinite(items)).sum())
    if n_bad:
        raise _bad(file, key, f"has {n_bad} values that are NaN or infinite as float32", "finite numbers")
    return items


def _labels(file: Path, key: str, arrays: dict[str, np.ndarray], n: int) -> torch.Tensor:
    array = arrays[key]
    if array.dtype.kind not in "iu":
        raise _bad(file, key, f"has dtype {array.dtype}", "integers, the labels 0..classes-1")
    if array.shape != (n,):
        raise _bad(file, key, f"has shape {array.shape}", f"({n},), one label for each item of x{key[1:]}")
    return torch.from_numpy(array.astype(np.int64))


def _same_item_shape(file: Path, x: dict[str, torch.Tensor]) -> None:
    shape = tuple(x["train"].shape[1:])
    for part, items in x.items():
        if tuple(items.shape[1:]) != shape:
            raise _bad(file, f"x_{part}", f"has items of shape {tuple(items.shape[1:])}", f"{shape}, as in x_train")


def _class_names(file: Path, arrays: dict[str, np.ndarray], y_train: torch.Tensor) -> tuple[str, ...]:
    if "class_names" in arrays:
        names = arrays["class_names"]
        if names.ndim != 1 or names.dtype.kind != "U" or names.size == 0:
            raise _bad(file, "class_names", f"has dtype {names.dtype}, shape {names.shape}", "(classes,) of strings")
        return tuple(str(name) for name in names)
    present = torch.unique(y_train)
    if present[0] < 0 or present[-1] != len(present) - 1:
        label = int(present[0] if present[0] < 0 else present[-1])
        raise _bad(file, "y_train", f"has label {label} among {len(present)} distinct ones", "0..classes-1, each used")
    return tuple(str(label) for label in range(len(present)))


def _in_range(file: Path, key: str, y: torch.Tensor, n_classes: int) -> None:
    outside = y[(y < 0) | (y >= n_classes)]
    if len(outside):
        raise _bad(file, key, f"has label {int(outside[0])}", f"0..{n_classes - 1}, for {n_classes} classes")
