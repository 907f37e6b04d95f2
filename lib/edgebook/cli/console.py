"""Tables on the terminal, whole where the output goes into a file or a pipe."""

from __future__ import annotations

import sys
from typing import Any

WIDE = 240  # columns of a table that nobody's terminal limits


def show(table: Any) -> None:
    """Print a table of rich."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else WIDE).print(table)
