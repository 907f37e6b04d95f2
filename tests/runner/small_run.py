"""A run of notebooks that do nearly nothing, for tests that kill it: the real runner, other notebooks, plain pages.

    python small_run.py PRESET NAME [--fresh] [--jobs N] [--cores N] [--set TEXT]...

Processes that the runner starts import this file too, and so find the same notebooks.
"""

import argparse
import os
import sys
from pathlib import Path

from edgebook import parameters, paths
from edgebook.errors import BadInput
from edgebook.runner.executors import this_machine
from edgebook.runner.run import Calls, Options, run_preset

paths.NOTEBOOKS = parameters.NOTEBOOKS = Path(os.environ["SMALL_NOTEBOOKS"])
paths.DEVICES = paths.NOTEBOOKS / "devices.yaml"


def write_page(notebook, page):
    """A page of one line; none where the notebook has printed so."""
    if "nopage" in notebook.read_text():
        raise RuntimeError("the renderer gave up:\nfor a reason")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("<h1>page</h1>")


def check(executions):
    """Nothing to check: the notebooks have no data."""


def no_data(tasks):
    """Nothing to compare: the notebooks have no data."""
    return {}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("preset", type=Path)
    parser.add_argument("name")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--cores", type=int, help="as if the machine had so many")
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--scheduler")
    given = parser.parse_args()
    if given.cores:
        this_machine.available_cores = lambda: given.cores
    options = Options(tuple(given.only), tuple(given.set), given.fresh, given.jobs, given.plain, given.scheduler)
    try:
        failures = run_preset(given.preset, given.name, options, Calls(check, write_page, data=no_data))
    except BadInput as error:
        print(f"edgebook: {error}", file=sys.stderr)
        sys.exit(2)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
