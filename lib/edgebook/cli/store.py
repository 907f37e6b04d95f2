"""Commands on the store."""

from __future__ import annotations

import math
import time
from typing import Annotated

import typer

from edgebook import cleaning
from edgebook.cleaning import Entry
from edgebook.errors import BadInput


def clean(
    older_than: Annotated[float | None, typer.Option(min=0, help="remove what was not used for so many days")] = None,
    max_size_gb: Annotated[float | None, typer.Option(min=0, help="remove what was not used for longest above this size")] = None,
    dry_run: Annotated[bool, typer.Option(help="say what would go, remove nothing")] = False,
) -> None:
    """Show the store by kind, size and age; with a limit, free it. What was used within the last hour stays.

    Everything in it can be made again: trained networks by training, exported files by exporting.
    """
    from rich.table import Table

    from edgebook.cli.console import show
    from edgebook.paths import store_dir

    for name, limit in (("--older-than", older_than), ("--max-size-gb", max_size_gb)):
        if limit is not None and not math.isfinite(limit):
            raise BadInput(f"{name} = {limit}; allowed: a number from 0 on")
    present, now = cleaning.entries(), time.time()
    max_bytes = None if max_size_gb is None else max_size_gb * 1e9
    going = cleaning.to_remove(present, older_than_days=older_than, max_bytes=max_bytes, now=now)
    table = Table("", "entries", "MB", "not used for days", "to remove, MB", show_edge=False)
    for kind in dict.fromkeys(entry.kind for entry in present):
        these = [entry for entry in present if entry.kind == kind]
        youngest, oldest = ((now - entry.used) / 86400 for entry in (these[-1], these[0]))
        sizes = [_megabytes(these), _megabytes([entry for entry in going if entry.kind == kind])]
        table.add_row(kind, str(len(these)), sizes[0], f"{youngest:.0f} to {oldest:.0f}", sizes[1])
    show(table)
    if not dry_run:
        for entry in going:
            cleaning.remove(entry)
    done = "to remove" if dry_run else "removed"
    hint = "; --older-than or --max-size-gb frees it" if older_than is None and max_size_gb is None else ""
    print(f"{store_dir()}: {len(going)} of {len(present)} entries {done}, {_megabytes(going)} MB{hint}")


def _megabytes(entries: list[Entry]) -> str:
    return f"{sum(entry.size_bytes for entry in entries) / 1e6:.1f}"


COMMANDS = (clean,)
