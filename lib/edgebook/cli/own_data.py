"""Commands on the user's own data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgebook.errors import BadInput

if TYPE_CHECKING:
    from edgebook.tasks.task import Task

N_SHOWN = 8  # items in the picture
Settings = Annotated[list[str] | None, typer.Option("--set", help="field=value of a description, such as label=beat; repeatable")]


def data(
    task: Annotated[str, typer.Argument(help="data set, or a path: .npz, .csv, .parquet, a folder, a .yaml about one of them")],
    set_: Settings = None,
    write: Annotated[Path | None, typer.Option(help="write the description with these settings to a .yaml file")] = None,
) -> None:
    """Show what is understood of data: items, shapes, classes, groups, splits, a picture of a few items."""
    from edgebook.tasks.overview import overview

    loaded = load(task, set_)
    if write:
        check_new(loaded, write)
    seen = overview(loaded)
    for name, text in seen.facts.items():
        print(f"{name:>9}: {text}")
    if seen.classes:
        _print_classes(seen.classes)
    for line in seen.warnings:
        print(f"     note: {line}")
    print(f"  picture: {picture(loaded)}")
    if write:
        print(f"  written: {write_description(loaded, write)}")


def _print_classes(lines: list[dict[str, Any]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from edgebook.cli.console import show

    has_labels = any(line["label"] != line["name"] for line in lines)
    columns = [name for name in lines[0] if name != "label" or has_labels]
    table = Table(*columns, show_edge=False)
    for line in lines:
        table.add_row(*(escape(str(line[name])) for name in columns))
    show(table)


def load(task: str, set_: list[str] | None) -> Task:
    """The Task, with fields of a description as the command line gives them."""
    from edgebook.naming import is_path
    from edgebook.tasks import load_task
    from edgebook.tasks.formats import load_path

    task, settings = name_or_path(task), read_settings(set_ or [])
    if settings and not is_path(task):
        raise BadInput(f"--set: {task} is not made of your own files; allowed: a path")
    return load_path(task, **settings) if settings else load_task(task)


def name_or_path(task: str) -> str:
    """The task as it is given, but `./flowers` for a file or folder `flowers` that is there, where no data set has that name."""
    from edgebook.naming import is_path
    from edgebook.tasks import TASKS

    return f"./{task}" if not is_path(task) and task not in TASKS and Path(task).exists() else task


def read_settings(texts: list[str]) -> dict[str, Any]:
    """`field=value`, or `image.size=[32, 32]` for a field of a field, as a description has them."""
    from edgebook import yaml_file

    settings: dict[str, Any] = {}
    for text in texts:
        place, sign, value = text.partition("=")
        names = place.strip().split(".")
        if not sign or len(names) > 2 or not all(names):
            raise BadInput(f"--set {text}: write field=value, or image.size=[32, 32]")
        try:
            parsed = yaml_file.parse(value)
        except ValueError as error:
            raise BadInput(f"--set {text}: {value!r} is not YAML: {error}") from None
        if len(names) == 2:
            settings.setdefault(names[0], {})[names[1]] = parsed
        else:
            settings[names[0]] = parsed
    return settings


def picture(task: Task) -> Path:
    """A PNG with the first training items of each class in turn, under reports/data/."""
    import numpy as np

    from edgebook.paths import reports_dir
    from edgebook.report import plots

    y = task.y_train.numpy()
    numbers = np.arange(len(y))
    if task.class_names and y.ndim == 1:  # one of each class, then a second one of each, ...
        turn = np.zeros(len(y), int)
        for label in np.unique(y):
            turn[y == label] = np.arange((y == label).sum())
        numbers = np.lexsort((y, turn))
    numbers = numbers[:N_SHOWN]
    titles = [_title(task, number) for number in numbers.tolist()]
    masks = y[numbers] if y.ndim == 3 else None
    figure = plots.items(task.x_train[numbers].numpy(), titles, masks=masks, title=f"{task.name}: some training items")
    path = reports_dir() / "data" / f"{task.name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def _title(task: Task, number: int) -> str:
    y = task.y_train[number]
    if y.ndim > 1:
        return ""
    return task.class_names[int(y)] if task.class_names else ", ".join(f"{value:.3g}" for value in y.reshape(-1).tolist())


def check_new(task: Task, path: Path, *, where: str = "--write") -> None:
    """Raises BadInput for a description that is there already, and for a task that has none."""
    if path.exists() or path.suffix != ".yaml":
        given = "is there already" if path.exists() else "is no .yaml file"
        raise BadInput(f"{where} {path}: {given}; allowed: a new .yaml file")
    if not task.description:
        raise BadInput(f"{where} {path}: {task.name} is not made of your own files; allowed: a path")


def write_description(task: Task, path: Path) -> Path:
    """The description of a task as a file that stands for it; `check_new` comes before."""
    import os

    import yaml

    from edgebook.files import write_text

    content = dict(task.description)
    for name in {"path", "items"} & content.keys():
        content[name] = os.path.relpath(content[name], path.absolute().parent)
    write_text(path, yaml.safe_dump(content, sort_keys=False))
    return path


COMMANDS = (data,)
