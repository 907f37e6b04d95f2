"""A run of notebooks that do nearly nothing, for tests that kill it: the real runner, other notebooks, plain pages.

    python small_run.py PRESET NAME [--fresh] [--jobs N] [--set TEXT]...

Processes that the runner starts import this file too, and so find the same notebooks.
"""

import argparse
import os
import sys
from pathlib import Path

from edgebook import parameters, paths
from edgebook.errors import BadInput
from edgebook.runner.run import Options, run_preset

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


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("preset", type=Path)
    parser.add_argument("name")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--jobs", type=int)
    given = parser.parse_args()
    options = Options(tuple(given.only), tuple(given.set), given.fresh, given.jobs)
    try:
        failures = run_preset(given.preset, given.name, options, check=check, page=write_page)
    except BadInput as error:
        print(f"edgebook: {error}", file=sys.stderr)
        sys.exit(2)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
