"""Libraries that read the user's own files: an extra of the installation, imported where a file needs them."""

from __future__ import annotations

import importlib
from typing import Any

from edgebook.errors import BadInput


def needed(module: str, *, extra: str, what: str) -> Any:
    """The imported module. Raises BadInput that names the extra when it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        reason = f"{what} need {module.split('.')[0]}, which cannot be imported ({error})"
        raise BadInput(f"{reason}; allowed: pip install 'edgebook[{extra}]'") from None
