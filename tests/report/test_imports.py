"""The report knows the spine and the metrics; `edgebook pick` starts without what draws and renders."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from edgebook import report

FOLDER = Path(report.__file__).parent
ALLOWED = {"rows", "vocabulary", "paths", "errors", "files", "registry", "devices", "naming", "run_folder", "metrics", "report"}
HEAVY = ("torch", "scipy", "pandas", "matplotlib", "seaborn", "jinja2", "nbconvert", "IPython", "psutil")


def imported(file: Path) -> set[str]:
    """The rooms of edgebook that a module imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "edgebook":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module.removeprefix("edgebook.").split(".")[0]} if node.module.startswith("edgebook.") else set()
        elif isinstance(node, ast.Import):
            names |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("edgebook.")}
    return names


@pytest.mark.parametrize("file", sorted(FOLDER.rglob("*.py")), ids=lambda file: str(file.relative_to(FOLDER)))
def test_only_the_spine_and_metrics_are_imported(file):
    assert imported(file) <= ALLOWED


def test_choosing_loads_nothing_that_draws():
    code = f"import sys, edgebook.report.document; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
