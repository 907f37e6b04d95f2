"""Commands that explain: parameters, and what is installed here."""

from __future__ import annotations

from typing import Annotated

import typer

from edgebook.cli.own_data import Settings, load, read_settings
from edgebook.errors import BadInput


def params(notebook: Annotated[str | None, typer.Argument(help="a notebook's stem; all when left out")] = None) -> None:
    """The parameters of a notebook with type, default and meaning."""
    from rich.markup import escape
    from rich.table import Table

    from edgebook.cli.console import show
    from edgebook.parameter_reference import reference
    from edgebook.parameters import notebook_defaults

    defaults = notebook_defaults(notebook) if notebook else {}
    table = Table("parameter", "default", "allowed", "meaning", show_edge=False)
    for line in reference(list(defaults) or None):
        unit = f" [{line['unit']}]" if line["unit"] else ""
        cells = (line["name"], str(defaults.get(line["name"], "")), line["type"], line["meaning"] + unit)
        table.add_row(*map(escape, cells))
    show(table)


def doctor(
    model: Annotated[str | None, typer.Option(help="architecture, path/to/net.py:build, package:name or net.pt2")] = None,
    task: Annotated[str | None, typer.Option(help="data set, or a path to your own")] = None,
    shape: Annotated[list[str] | None, typer.Option(help="width=32: an argument of the builder; repeatable")] = None,
    set_: Settings = None,
) -> None:
    """What is here: machine, runtimes, data sets. With --model and --task: what will work with these, in a minute."""
    if model or task:
        return _examine(model, task, shape or [], set_)
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
            loaded = load_task(name)
            print(f"{name:>14}: {len(loaded.x_train)} train, {len(loaded.x_val)} validation, {len(loaded.x_test)} test")
        except BadInput as error:
            print(f"{name:>14}: {error}")
    print(f"{'store':>14}: {store_dir()}")


def _examine(model: str | None, task: str | None, shape: list[str], set_: list[str] | None) -> None:
    """Print what works with a network and data; exit code 1 where the network itself does not."""
    import torch

    from edgebook.experiment.suitability import examine
    from edgebook.models import allow_network
    from edgebook.naming import is_path

    if not (model and task):
        raise BadInput(f"doctor: --model = {model!r}, --task = {task!r}; allowed: both, or none")
    if is_path(model):
        allow_network(model)
    torch.set_num_threads(1)
    loaded = load(task, set_)
    print(f"{'data':>20}: {loaded.kind_name}, {len(loaded.x_train):,} training items of shape {loaded.input_shape}")
    for finding in examine(loaded, model, read_settings(shape)):
        print(f"{finding.stage:>20}: {'' if finding.works else 'NO, '}{finding.detail}", flush=True)
        if finding.stage == "network" and not finding.works:
            raise typer.Exit(1)


COMMANDS = (params, doctor)
