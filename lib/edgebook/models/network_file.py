"""The user's own networks: `path/to/file.py:function`, run only when the user has allowed the file."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from edgebook.errors import BadInput, Stopped, one_line
from edgebook.naming import is_package

VARIABLE = "EDGEBOOK_NETWORKS"  # allowed files, as in PATH: processes that are started from here inherit it
PACKAGES = "EDGEBOOK_PACKAGES"  # allowed functions and classes of installed packages, with commas between
_helpers: dict[str, Path] = {}  # module beside a network file -> its folder


def allow_network(name: str) -> None:
    """Let this process, and those it starts, run the file of `path/to/file.py:function` (or `path/to/file.py`, or `net.pt2`),
    or the function or class `package.module:name`.

    To be called with what the user typed, never with what a stored file says.
    """
    if is_package(name):
        os.environ[PACKAGES] = ",".join(dict.fromkeys([*allowed_packages(), name]))
        return
    file = _file_of(name)
    if file not in allowed_networks():
        os.environ[VARIABLE] = os.pathsep.join(map(str, [*allowed_networks(), file]))


def allowed_networks() -> list[Path]:
    """The files that may run, as absolute paths."""
    return [Path(entry).expanduser().resolve() for entry in os.environ.get(VARIABLE, "").split(os.pathsep) if entry]


def allowed_packages() -> list[str]:
    """The functions and classes of installed packages that may run."""
    return [entry for entry in os.environ.get(PACKAGES, "").split(",") if entry]


def check_allowed(name: str) -> Path:
    """The file of a network. Raises BadInput when it is absent or not allowed to run."""
    file, (path, colon, function) = _file_of(name), name.rpartition(":")
    path = path if colon and function.isidentifier() else name
    if not file.is_file():
        raise BadInput(f"model {name!r}: no file {path}; allowed: path/to/file.py:function")
    if file not in allowed_networks():
        raise BadInput(f"model {name!r}: {path} is not allowed to run; set {VARIABLE} to its path when you trust it")
    return file


def build_from_file(name: str, build: Callable[[Callable[..., Any]], Any]) -> Any:
    """`build(function)` for the function that `path/to/file.py:function` names; modules beside the file can be imported.

    Raises BadInput when the file is not allowed, or when it or `build` raises anything.
    """
    path, colon, function = name.rpartition(":")
    if not colon:
        raise BadInput(f"model {name!r} names no function; allowed: path/to/file.py:function")
    file = check_allowed(name)
    with foreign_code(name), _imports_beside(file):
        builder = getattr(module := _module(file), function, None)
        if callable(builder):
            return build(builder)
    raise BadInput(f"model {name!r}: {path} has no function {function!r}; it has: {', '.join(_builders(module)) or 'none'}")


@contextmanager
def foreign_code(name: str) -> Iterator[None]:
    """Inside, anything that a network's code raises becomes BadInput, in one line."""
    try:
        yield
    except (BadInput, Stopped):
        raise
    except BaseException as error:  # the user's code may raise anything, and leave by sys.exit
        raise BadInput(f"model {name!r} cannot be built: {one_line(error)}") from error


def _builders(module: ModuleType) -> list[str]:
    """Functions and classes that a file defines itself."""
    of_module = [(key, value) for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    return [key for key, value in of_module if inspect.isfunction(value) or inspect.isclass(value)]


def _file_of(name: str) -> Path:
    path, colon, function = name.rpartition(":")
    return Path(path if colon and function.isidentifier() else name).expanduser().resolve()


def _module(file: Path) -> ModuleType:
    """The file as a module of its own name, so that two files of one name do not get in each other's way."""
    spec = importlib.util.spec_from_file_location(f"{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses in the file look their module up here
    spec.loader.exec_module(module)
    return module


@contextmanager
def _imports_beside(file: Path) -> Iterator[None]:
    """Inside, modules in the file's folder can be imported; those of other networks' folders are forgotten first, since they
    may have the same names.
    """
    for helper, folder in list(_helpers.items()):
        if folder != file.parent:
            sys.modules.pop(helper, None)
            del _helpers[helper]
    before = set(sys.modules)
    sys.path.insert(0, str(file.parent))
    try:
        yield
    finally:
        sys.path.remove(str(file.parent))
        fresh = {helper: sys.modules[helper] for helper in set(sys.modules) - before}
        places = {helper: Path(getattr(module, "__file__", None) or "/") for helper, module in fresh.items()}
        _helpers.update({helper: file.parent for helper, place in places.items() if file.parent in place.parents})
