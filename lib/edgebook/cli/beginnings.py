"""Commands that begin something: the data of a worked example, a study of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgebook.cli.own_data import Settings, check_new, load, name_or_path, write_description
from edgebook.errors import BadInput


def example(
    name: Annotated[str | None, typer.Argument(help="name of an example; all are listed when left out")] = None,
    folder: Annotated[Path, typer.Option(help="where its files are written")] = Path("data"),
    size: Annotated[float, typer.Option(min=0.05, max=10, help="1: the whole example; 0.1: about a tenth of its items")] = 1.0,
) -> None:
    """Write the data of a worked example, generated: see docs/examples."""
    from edgebook.tasks.examples import EXAMPLES, write_example

    if name is None:
        for listed, record in EXAMPLES.items():
            print(f"{listed:>12}: {record.what}")
        return
    description = write_example(name, folder, size=size)
    print(f"{description}\nnow: edgebook run params/examples/{name}.yaml")


def new(
    name: Annotated[str, typer.Argument(help="name of the study, and of its run")],
    task: Annotated[str, typer.Option(help="data set, or a path to your own")] = "mnist1d",
    model: Annotated[
        str | None,
        typer.Option(help="architecture, or path/to/net.py:build, written when absent; what suits the data if left out"),
    ] = None,
    set_: Settings = None,
) -> None:
    """Write a preset for your data and network that runs at once; with --set a description of the data beside it."""
    from edgebook.experiment.new_study import new_study
    from edgebook.parameters import check

    check({"run": name}, where="NAME")
    description = Path(f"{name}-data.yaml")
    if set_:
        loaded = load(task, set_)
        check_new(loaded, description, where="--set")
        write_description(loaded, description)
    try:
        study = new_study(name, str(description) if set_ else name_or_path(task), model, Path.cwd())
    except BadInput:
        if set_:
            description.unlink()
        raise
    for note in study.notes:
        print(note)
    print(f"{study.preset}\nnow: edgebook run {name}.yaml")


COMMANDS = (example, new)
