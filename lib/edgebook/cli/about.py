"""Commands that explain: parameters, and what is installed here."""

from __future__ import annotations

from typing import Annotated

import typer

from edgebook.errors import BadInput


def params(notebook: Annotated[str | None, typer.Argument(help="a notebook's stem; all when left out")] = None) -> None:
    """The parameters of a notebook with type, default and meaning."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from edgebook.parameter_reference import reference
    from edgebook.parameters import notebook_defaults

    defaults = notebook_defaults(notebook) if notebook else {}
    table = Table("parameter", "default", "allowed", "meaning", show_edge=False)
    for line in reference(list(defaults) or None):
        unit = f" [{line['unit']}]" if line["unit"] else ""
        cells = (line["name"], str(defaults.get(line["name"], "")), line["type"], line["meaning"] + unit)
        table.add_row(*map(escape, cells))
    Console().print(table)


def doctor() -> None:
    """What is here: the machine, each runtime with its versions or why it is absent, the data sets."""
    from edgebook.boards import emulated
    from edgebook.measure import machine
    from edgebook.paths import store_dir
    from edgebook.runtimes.base import RUNTIMES, missing, versions
    from edgebook.tasks import TASKS, load_task

    for key, value in machine.describe().items():
        print(f"{key:>14}: {', '.join(value) if isinstance(value, list) else value}")
    for name in RUNTIMES:
        print(f"{name:>14}: {missing(name) or ', '.join(f'{library} {version}' for library, version in versions(name).items())}")
    print(f"{'emulated cores':>14}: {emulated.missing() or ', '.join(emulated.CORES)}")
    for name in TASKS:
        try:
            task = load_task(name)
            print(f"{name:>14}: {len(task.x_train)} train, {len(task.x_val)} validation, {len(task.x_test)} test")
        except BadInput as error:
            print(f"{name:>14}: {error}")
    print(f"{'store':>14}: {store_dir()}")


COMMANDS = (params, doctor)
