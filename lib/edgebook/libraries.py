"""Installed versions of libraries."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable
from functools import cache


def versions_of(names: Iterable[str]) -> dict[str, str]:
    """Distribution -> version, for the names of imported packages or of distributions; what is not installed is left out."""
    distributions = {distribution for name in names for distribution in _distributions(name)}
    return {name: importlib.metadata.version(name) for name in sorted(distributions)}


@cache
def _distributions(name: str) -> tuple[str, ...]:
    """The distributions that a package belongs to: of its own name, as most are, or by the lists of their files."""
    try:
        return (importlib.metadata.distribution(name).name,)
    except importlib.metadata.PackageNotFoundError:
        return tuple(sorted(set(_all_packages().get(name, ()))))


@cache
def _all_packages() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())
