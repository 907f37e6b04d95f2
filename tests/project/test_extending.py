"""docs/extending.md, followed literally in a copy of the repository: its examples pass their tests and fit the structure."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from repository import ROOT

TEXT = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`((?:lib|tests)/\S+\.py)`.*?```python\n(.*?)```", TEXT, re.M | re.S))
LINES = re.findall(r"^In `(\w+)`(?: of `\S+`)?: `(.+?)`", TEXT, re.M)  # table, line to add
TABLES = {
    "MODELS": "models/__init__.py",
    "TASKS": "tasks/__init__.py",
    "IMPORTANCES": "compress/prune/__init__.py",
    "PARAMS": "parameters.py",
    "RUNTIMES": "runtimes/base.py",
    "MARKERS": "vocabulary.py",
}


def add(path, after: str, line: str) -> None:
    """Write `line` behind the one place that the pattern `after` matches."""
    text, n = re.subn(after, lambda match: match[0] + line + "\n", path.read_text(), flags=re.M)
    assert n == 1, f"{path.name}: {after} matches {n} times"
    path.write_text(text)


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """A copy of the repository with all that the guide adds."""
    copy = tmp_path_factory.mktemp("copy")
    for name in ("lib", "tests", "notebooks", "params", "benchmarks"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "devices.yaml"):
        shutil.copy(ROOT / name, copy)
    package = copy / "lib" / "edgebook"
    for name, text in FILES.items():
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text(text)
    for table, line in LINES:
        add(package / TABLES[table], rf"^{table}\b.*[{{(]\n", f"    {line}")
    add(package / "compress/prune/importance.py", r"^L2 = .*\n", re.search(r"^L_HALF = .*", TEXT, re.M)[0])
    for init, place, record in (("metrics", "metric", "TOP_TWO_ACCURACY"), ("tasks.kinds", "kind", "TOP_TWO")):
        file = package / init.replace(".", "/") / "__init__.py"
        add(file, rf"^from edgebook.{init}.{place} .*\n", f"from edgebook.{init}.top_two import {record}")
        add(file, r"^(METRICS|KINDS)\b.*{(\n)?.* in \(", f"{record},")
    return copy


def run(copy, *arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(copy / "lib")}
    return subprocess.run([sys.executable, *arguments], cwd=copy, env=environment, capture_output=True, text=True)


def test_the_guide_has_an_example_of_each_way():
    assert {name.split("/")[2] for name in FILES if name.startswith("lib")} == {
        "models",
        "tasks",
        "compress",
        "runtimes",
        "metrics",
    }
    assert {table for table, _ in LINES} == TABLES.keys()


def test_examples_pass_their_tests_and_fit_the_structure(followed):
    tests = [name for name in FILES if name.startswith("tests/")]
    assert len(tests) == 6
    done = run(followed, "-m", "pytest", *tests, "tests/project/test_structure.py", "-k", "not project or imports or import_each")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_examples_are_formatted(followed):
    done = run(followed, "-m", "ruff", "check", "--no-cache", *FILES)
    assert done.returncode == 0, done.stdout
    done = run(followed, "-m", "ruff", "format", "--no-cache", "--check", *FILES)
    assert done.returncode == 0, done.stdout
