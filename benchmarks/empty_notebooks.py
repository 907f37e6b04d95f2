"""Runs of a notebook with nothing in it: what is left is the machinery. For `grid.py`; workers preload this file."""

from __future__ import annotations

import json
import os
from contextlib import redirect_stdout
from pathlib import Path

import nbformat
import yaml

from edgebook import parameters, paths
from edgebook.runner.run import Calls, Options, run_preset

FOLDER = "EDGEBOOK_EMPTY_NOTEBOOKS"
PARAMETERS = 'task = "digits"\nmodel = "mlp"\nmodel_shape = {}\nrun = "empty"\nseed = 0\ngrid_values = {}\nthreads = 1'

if FOLDER in os.environ:  # also in the processes that execute, which import this file again
    paths.NOTEBOOKS = parameters.NOTEBOOKS = Path(os.environ[FOLDER])


def empty_preset(home: Path, n: int) -> Path:
    """A preset of n executions of an empty notebook, with the notebook, in a folder."""
    cells = [nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}), nbformat.v4.new_code_cell("pass")]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    os.environ[FOLDER] = str(home)
    paths.NOTEBOOKS = parameters.NOTEBOOKS = home
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), home / "10_empty.ipynb")
    content = {"points": [{"task": "digits", "model": "mlp"}], "notebooks": {"10_empty": None}, "seeds": list(range(n))}
    path = home / "empty.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def run_empty(path: Path, home: Path, *, jobs: int | None = None, scheduler: str | None = None) -> int:
    """Execute such a preset; how many executions failed."""
    os.environ |= {"EDGEBOOK_STORE": str(home / "store"), "EDGEBOOK_REPORTS": str(home / "reports")}
    calls = Calls(f"{__name__}:no_check", f"{__name__}:write_page", data=f"{__name__}:no_data")
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        run_preset(path, "empty", Options(jobs=jobs, scheduler=scheduler), calls)
    records = [json.loads(file.read_text()) for file in (home / "reports" / "empty" / "state").iterdir()]
    return sum(record["status"] != "ok" for record in records)


def no_check(executions: list) -> None:
    """Nothing to check."""


def no_data(tasks: list[str]) -> dict[str, str]:
    """Nothing to compare."""
    return {}


def write_page(notebook: Path, page: Path) -> None:
    """A page of one line."""
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("<h1>empty</h1>")
