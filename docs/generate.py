"""What the documentation takes from the code: notebooks, parameters, columns of a row, commands, models, boards."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import typer

from edgebook import devices, paths
from edgebook.cli import app
from edgebook.parameter_reference import reference
from edgebook.rows import COLUMNS


def write(folder: Path) -> None:
    """Write every generated page into a folder, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "notebooks").mkdir(parents=True)
    for notebook in sorted(paths.NOTEBOOKS.glob("*.ipynb")):
        shutil.copy(notebook, folder / "notebooks")
    for name, text in PAGES.items():
        (folder / f"{name}.md").write_text(text(), encoding="utf-8")


def notebooks() -> str:
    """The list of notebooks, each with its question as the link."""
    files = sorted(paths.NOTEBOOKS.glob("*.ipynb"))
    tree = "\n".join(f"notebooks/{path.stem}" for path in files)
    lines = [f"- [{question(path)}](notebooks/{path.stem}) `{path.stem}`" for path in files]
    return page("The notebooks", "\n".join(lines), f"```{{toctree}}\n:hidden:\n\n{tree}\n```")


def parameters() -> str:
    """Every parameter of the notebooks."""
    rows = [(f"`{line['name']}`", line["type"], line["unit"], line["meaning"]) for line in reference()]
    return page(
        "Parameters", "What a notebook's first cell or a preset may set.", table(("name", "values", "unit", "meaning"), rows)
    )


def columns() -> str:
    """Every column of a result row."""
    rows = [(f"`{name}`", meaning) for name, meaning in COLUMNS.items()]
    return page(
        "Columns of a row",
        "One row for each file, runtime, device, number of threads, batch size and seed.",
        table(("column", "meaning"), rows),
    )


def commands() -> str:
    """Every command with its arguments and options."""
    parts = []
    for name, command in sorted(typer.main.get_command(app).commands.items()):
        rows = [(f"`{parameter.opts[-1]}`", parameter.help or "") for parameter in command.params]
        parts += [f"## edgebook {name}", command.help or "", table(("argument or option", "meaning"), rows)]
    return page("Commands", *parts)


def boards() -> str:
    """The boards of devices.yaml."""
    rows = [
        (
            f"`{board.name}`",
            ", ".join(board.runtimes),
            *(f"{n / 1000:,.0f}" for n in (board.flash_bytes, board.ram_bytes)),
            board.source,
        )
        for board in devices.load_devices().values()
        if board.name != "host"  # measured where the documentation is built
    ]
    shown = table(("board", "runtimes", "flash, kB", "RAM, kB", "source"), rows)
    return page("Boards", "What `devices.yaml` says of each.", shown)


def question(path: Path) -> str:
    """The question that a notebook starts with."""
    return "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]).splitlines()[0].removeprefix("# ")


def page(title: str, *parts: str) -> str:
    """A page of Markdown."""
    return "\n\n".join([f"# {title}", *parts]) + "\n"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of Markdown."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


PAGES = {"notebooks": notebooks, "parameters": parameters, "columns": columns, "commands": commands, "boards": boards}
