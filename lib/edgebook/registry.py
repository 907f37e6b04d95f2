"""Tables of names: what a preset may call something -> where it is, imported only when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from edgebook.errors import BadInput


def pick(table: Mapping[str, Any], name: str, what: str) -> Any:
    """`table[name]`; an entry "package.module:attribute" is imported first, so that a table costs no imports.

    Raises BadInput that lists the known names when `name` is not one of them.
    """
    if name not in table:
        raise BadInput(f"{what} {name!r} is unknown; known: {', '.join(sorted(table))}")
    return resolve(table[name])


def resolve(entry: Any) -> Any:
    """What an entry of a table stands for: the attribute that "package.module:attribute" names, or the entry itself."""
    if not isinstance(entry, str):
        return entry
    module, _, attribute = entry.partition(":")
    loaded = importlib.import_module(module)
    return getattr(loaded, attribute) if attribute else loaded
