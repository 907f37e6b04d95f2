"""One list of packages: what is imported, pyproject.toml, requirements.lock and environment.yml say the same."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from repository import LIB, ROOT, third_party

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
IMPORT_NAMES = {"ipython": "IPython", "pillow": "PIL", "pyyaml": "yaml", "scikit-learn": "sklearn"}  # where the two names differ

# declared without an import: what uses them
USED_BY_COMMAND = {
    "basedpyright": "make lint",
    "dask": "docs/cluster.md: its commands start schedulers and workers",
    "dask-jobqueue": "docs/cluster.md: workers as jobs of SLURM",
    "furo": "docs/conf.py",
    "myst-nb": "docs/conf.py",
    "sphinx": "make docs",
    "ethos-u-vela": "runtimes/vela.py starts its command",
    "jupyterlab": "make lab, and the kernel of every execution",
    "mutmut": "make mutate",
    "nbstripout": ".pre-commit-config.yaml",
    "onnxscript": "torch.onnx.export imports it",
    "pre-commit": "CONTRIBUTING.md",
    "pytest-xdist": "pytest -n",
    "ruff": "make lint",
    "uv": "make lock",
}
# in the lock before they are used, since a lock that grows in steps finds versions that do not go together
PLANNED = {
    "playwright": "tests that operate the report's page",
}


def distribution(requirement: str) -> str:
    return re.split(r"[\s<>=!~;\[]", requirement.strip(), maxsplit=1)[0].lower().replace("_", "-")


def group(name: str) -> list[str]:
    """The requirements of a dependency group, with those of the groups that it includes."""
    entries = PROJECT["dependency-groups"][name]
    parts = [[entry] if isinstance(entry, str) else group(entry["include-group"]) for entry in entries]
    return [requirement for part in parts for requirement in part]


def declared_for_users() -> dict[str, str]:
    extras = PROJECT["project"]["optional-dependencies"].values()
    listed = PROJECT["project"]["dependencies"] + [requirement for extra in extras for requirement in extra]
    return {distribution(requirement): requirement for requirement in listed}


def declared() -> dict[str, str]:
    return declared_for_users() | {distribution(requirement): requirement for requirement in group("dev")}


def locked() -> dict[str, list[str]]:
    """Distribution -> its lines; more than one where versions differ between Pythons."""
    lines: dict[str, list[str]] = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if line and not line.startswith("#"):
            lines.setdefault(distribution(line), []).append(line)
    return lines


def files(*folders: str) -> list[Path]:
    return [path for name in folders for path in sorted((ROOT / name).rglob("*")) if path.suffix in (".py", ".ipynb")]


def import_names(distributions: set[str]) -> set[str]:
    return {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in distributions}


def test_the_library_and_notebooks_import_only_what_users_install():
    imported = third_party(files("lib", "notebooks"))
    assert imported - import_names(set(declared_for_users())) == set()


def test_tests_and_benchmarks_import_only_what_is_declared():
    imported = third_party(files("tests", "benchmarks"))
    assert imported - import_names(set(declared())) == set()


def test_everything_declared_is_used():
    imported = third_party(files("lib", "notebooks", "tests", "benchmarks"))
    unused = {name for name in declared() if not import_names({name}) & imported}
    assert unused == USED_BY_COMMAND.keys() | PLANNED.keys()


def test_everything_declared_is_locked_to_one_version_per_python():
    assert declared().keys() <= locked().keys()
    for lines in locked().values():
        assert all(re.match(r"^[\w.-]+==[\w.]+( ;.*)?$", line) for line in lines)
        assert len(lines) == 1 or all(" ; " in line for line in lines), f"{lines}: which of them is meant?"


def test_the_lock_works_on_other_hosts():
    text = (ROOT / "requirements.lock").read_text()
    assert "--hash" not in text
    assert "+cpu" not in text
    assert "://" not in text
    assert not re.search(r"^(nvidia|cuda|triton)", text, re.M)


def test_what_is_installed_is_what_is_locked():
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists() and not shutil.which("uv"):
        pytest.skip("uv is not installed beside this Python")
    command = [str(uv) if uv.exists() else "uv", "pip", "sync", "--dry-run", "--offline", "--python", sys.executable]
    done = subprocess.run([*command, str(ROOT / "requirements.lock")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^ \+ (.+)", done.stderr, re.M) == []


def test_conda_users_get_the_same_set():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = [part["pip"] for part in environment["dependencies"] if isinstance(part, dict)]
    assert pip == ["-r requirements.lock", "-e . --no-deps"]
    (python,) = [part for part in environment["dependencies"] if str(part).startswith("python")]
    assert python == f"python{PROJECT['project']['requires-python']}"


def test_markers_of_the_lock_agree_with_pyproject():
    for name, requirement in declared().items():
        assert (";" in requirement) <= (";" in locked()[name][0]), f"{name} has a marker in pyproject.toml that the lock lost"


def test_the_package_ships_its_templates():
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["edgebook"]
    packed = {path for pattern in patterns for path in (LIB / "edgebook").glob(pattern) if path.is_file()}
    others = {path for path in (LIB / "edgebook").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert packed == others
