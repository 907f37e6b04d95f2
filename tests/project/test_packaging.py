"""One list of packages: pyproject.toml, requirements.lock and environment.yml say the same."""

import re
import tomllib

import yaml

from edgebook.paths import NOTEBOOKS

ROOT = NOTEBOOKS.parent


def plain(name):
    return re.split(r"[\s<>=!~;\[]", name.strip(), maxsplit=1)[0].lower().replace("_", "-")


def direct():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {plain(name): name for name in project["dependencies"] + project["optional-dependencies"]["dev"]}


def locked():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return {plain(line): line for line in lines if line and not line.startswith("#")}


def test_everything_we_name_is_pinned_once():
    assert direct().keys() <= locked().keys()
    assert all(re.match(r"^[\w.-]+==[\w.]+( ;.*)?$", line) for line in locked().values())


def test_the_lock_works_on_other_hosts():
    text = (ROOT / "requirements.lock").read_text()
    assert "--hash" not in text
    assert "+cpu" not in text
    assert "://" not in text
    assert not re.search(r"^(nvidia|cuda|triton)", text, re.M)


def test_conda_users_get_the_same_set():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = [part["pip"] for part in environment["dependencies"] if isinstance(part, dict)]
    assert pip == ["-r requirements.lock", "-e . --no-deps"]
    python = next(part for part in environment["dependencies"] if str(part).startswith("python"))
    assert python == "python>=3.11,<3.14"
    assert 'requires-python = ">=3.11,<3.14"' in (ROOT / "pyproject.toml").read_text()


def test_markers_of_the_lock_agree_with_pyproject():
    for name, wanted in direct().items():
        assert (";" in wanted) <= (";" in locked()[name]), f"{name} has a marker in pyproject.toml that the lock lost"
