"""Notebooks that take a second: a sweep that writes two rows, or does what its model_shape says, and one that reads them."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from edgebook import parameters, paths

SWEEP = """
import os, time, signal, subprocess, sys
from pathlib import Path
from edgebook import rows
from edgebook.naming import execution_name, short_id
from edgebook.paths import reports_dir

name, folder = execution_name(NOTEBOOK, globals()), reports_dir() / run
def write(count):
    identity = {"run": run, "notebook": NOTEBOOK, "execution": name, "task": task, "model": model, "seed": seed}
    made = [rows.build(identity, {"row_id": short_id(name, n), "label": f"row {n}", "samples": f"samples/{name}.npz",
            "artifact": f"artifacts/{name}/{n}.onnx", "asked": {"finetune": finetune_recipe}}) for n in range(count)]
    for row in made:
        file = folder / row["artifact"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"artifact")
    (folder / "samples").mkdir(exist_ok=True)
    (folder / "samples" / f"{name}.npz").write_bytes(b"samples")
    rows.write_rows(folder / "rows" / f"{name}.jsonl", made)
---
(folder / "pids").mkdir(parents=True, exist_ok=True)
(folder / "pids" / name).write_text(f"{os.getpid()} {os.getppid()}")
step = model_shape.get("step", "")
if step == "fail":
    raise ValueError("\\x1b[31mit went wrong, because of:\\x1b[0m\\n  this and that\\nand more")
if step == "sleep":
    time.sleep(600)
if step.startswith("take a while"):
    time.sleep(2)
if step == "take memory":
    child = subprocess.Popen([sys.executable, "-c", "taken = bytearray(600_000_000); import time; time.sleep(600)"])
    (folder / "pids" / f"{name}.child").write_text(str(child.pid))
    child.wait()
if step == "fill the disk" and os.environ.get("SMALL_FILL"):
    with open(folder / "filler", "wb", buffering=0) as file:
        while True:
            file.write(bytes(1000))
---
write(2)
print("here are the rows")
---
if step == "fail later":
    rows[0]
if step == "kill the kernel":
    os.kill(os.getpid(), signal.SIGKILL)
if step == "kill the process":
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(600)
if step == "unpageable":
    print("no" + "page")
"""
READER = """
from edgebook import rows
from edgebook.paths import reports_dir
folder = reports_dir() / run
found = [row for row in rows.read_rows(folder) if row["notebook"] != NOTEBOOK]
identity = {"run": run, "notebook": NOTEBOOK, "execution": NOTEBOOK, "row_id": NOTEBOOK, "role": "version"}
rows.write_rows(folder / "rows" / f"{NOTEBOOK}.jsonl", [rows.build(identity, {"extra": {"n": len(found)}})])
"""
PARAMETERS = """
task = "digits"
model = "mlp"
model_shape = {}
run = "lab"
seed = 0
grid_values = {}
threads = 1
measure_s = 0.0
finetune_recipe = {"epochs": 2, "lr": 0.1}
"""


def notebook(stem, parameters_cell, code, reads):
    """The content of a notebook; cells are separated by a line of three dashes."""
    cells = [(["parameters"], parameters_cell), *(([], cell) for cell in code.replace("NOTEBOOK", repr(stem)).split("---\n"))]
    code_cells = [
        {
            "cell_type": "code",
            "id": f"c{n}",
            "metadata": {"tags": tags},
            "source": text.strip(),
            "outputs": [],
            "execution_count": None,
        }
        for n, (tags, text) in enumerate(cells)
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "cells": [*code_cells, {"cell_type": "markdown", "id": "prose", "metadata": {}, "source": "What it shows."}],
        "metadata": {"edgebook": {"reads": reads}, "kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def write_notebooks(folder):
    books = {
        "20_sweep": (PARAMETERS, SWEEP, ["data"]),
        "30_sweep": (PARAMETERS + "pruning_ratios = [0.5]\n", SWEEP, ["data"]),
        "90_read": ('run = "lab"\nthreads = 1\nmax_loss = None\n', READER, ["rows"]),
    }
    for stem, (cell, code, reads) in books.items():
        (folder / f"{stem}.ipynb").write_text(json.dumps(notebook(stem, cell, code, reads)))


@pytest.fixture
def notebooks(tmp_path, monkeypatch):
    """A folder with the small notebooks, in place of the real ones."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    write_notebooks(folder)
    (folder / "devices.yaml").write_text("{}")
    for module in (paths, parameters):
        monkeypatch.setattr(module, "NOTEBOOKS", folder)
    monkeypatch.setattr(paths, "DEVICES", folder / "devices.yaml")
    parameters.notebook_defaults.cache_clear()
    yield folder
    parameters.notebook_defaults.cache_clear()


@pytest.fixture
def preset(tmp_path, notebooks):
    """A function that writes a preset of the small notebooks, with changes, and gives its path."""

    def write(**changes):
        content = {
            "shared": {"threads": 1},
            "points": [{"task": "digits", "model": "mlp"}],
            "notebooks": {"20_sweep": None},
            "once": ["90_read"],
        }
        path = tmp_path / "small.yaml"
        path.write_text(yaml.safe_dump(content | changes))
        return path

    return write


@dataclass
class SmallRun:
    """The small notebooks run in another process, as the command line runs the real ones."""

    home: Path
    environment: dict

    @property
    def folder(self):
        return self.home / "reports" / "small"

    def start(self, preset, *arguments, **environment):
        script = Path(__file__).with_name("small_run.py")
        return subprocess.Popen(
            [sys.executable, str(script), str(preset), "small", *map(str, arguments)],
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home,
        )

    def __call__(self, preset, *arguments, **environment):
        """(exit code, lines of stdout, stderr)"""
        process = self.start(preset, *arguments, **environment)
        out, err = process.communicate(timeout=300)
        return process.returncode, out.splitlines(), err

    def rows(self, name):
        return [json.loads(line) for line in (self.folder / "rows" / f"{name}.jsonl").read_text().splitlines()]


@pytest.fixture
def small_run(tmp_path, notebooks):
    environment = os.environ | {
        "SMALL_NOTEBOOKS": str(notebooks),
        "EDGEBOOK_REPORTS": str(tmp_path / "reports"),
        "EDGEBOOK_STORE": str(tmp_path / "store"),
    }
    return SmallRun(tmp_path, environment)


@pytest.fixture
def points():
    """A function that gives a point which does `step`."""
    return lambda step: {"task": "digits", "model": "mlp", "params": {"model_shape": {"step": step}}}
