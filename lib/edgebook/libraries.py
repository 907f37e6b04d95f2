"""Installed versions of libraries, and imports that leave one out."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache

STDLIB = {*sys.stdlib_module_names, "test"}
OTHER_NAMES = {"sklearn": "scikit-learn", "yaml": "PyYAML"}  # package -> distribution; to read the lists of all takes long


def versions_of(names: Iterable[str]) -> dict[str, str]:
    """Distribution -> version, for the names of imported packages or of distributions; what is not installed is left out."""
    distributions = {distribution for name in names for distribution in _distributions(name)}
    return {name: importlib.metadata.version(name) for name in sorted(distributions)}


@cache
def _distributions(name: str) -> tuple[str, ...]:
    """The distributions that a package belongs to: of its own name, as most are, or by the lists of their files."""
    try:
        return (importlib.metadata.distribution(OTHER_NAMES.get(name, name)).name,)
    except importlib.metadata.PackageNotFoundError:
        if name in STDLIB or importlib.util.find_spec(name) is None:
            return ()
        return tuple(sorted(set(_all_packages().get(name, ()))))


@cache
def _all_packages() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())


@contextmanager
def imports_without(module: str) -> Iterator[None]:
    """Until the end of the block importing a module fails, as if it was not installed, unless it has been imported before."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]  # the documented way to make an import fail
    try:
        yield
    finally:
        del sys.modules[module]
