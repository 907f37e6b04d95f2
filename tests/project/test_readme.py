"""The README names what there is: notebooks with their questions, commands with their options, runtimes, tasks, models."""

import json
import re
import shlex

import pytest
import typer
from repository import ROOT

from edgebook.cli import app
from edgebook.models import MODELS
from edgebook.runtimes.base import RUNTIMES
from edgebook.tasks import TASKS

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^edgebook (.+?)(?: +#.*)?$", TEXT, re.M)


def test_every_notebook_stands_with_its_question():
    questions = {}
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        title = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]).splitlines()[0]
        questions[path.stem] = title.removeprefix("# ")
    assert dict(re.findall(r"^\| `(\d\d_\w+)` \| (.+) \|$", TEXT, re.M)) == questions


def test_there_are_commands():
    assert {command.split()[0] for command in COMMANDS} == {
        "run",
        "status",
        "report",
        "pick",
        "bundle",
        "verify",
        "autotune",
        "profile",
        "measure",
        "clean",
        "params",
        "doctor",
        "new",
        "data",
        "example",
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_have_these_arguments_and_options(command):
    name, *arguments = shlex.split(command)
    context = typer.main.get_command(app).commands[name].make_context(name, arguments)
    assert len(context.params) >= len([argument for argument in arguments if argument.startswith("--")])


def test_every_runtime_task_and_model_is_named():
    names = set(re.findall(r"`([\w-]+)`", TEXT))
    assert {*RUNTIMES, *TASKS, *MODELS} <= names


def test_files_that_it_names_exist():
    paths = re.findall(r"\]\(([\w./-]+)\)", TEXT) + re.findall(r"`?((?:benchmarks|docs|params)/[\w.]+\.\w+)", TEXT)
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_chinese_readme_has_commands_that_exist():
    text = (ROOT / "README.zh.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    assert set(re.findall(r"\bmake (\w+)", text)) <= targets
    commands = re.findall(r"^\.venv/bin/edgebook (.+?)(?: +#.*)?$", text, re.M)
    assert len(commands) == 9
    for name, *arguments in map(shlex.split, commands):
        assert typer.main.get_command(app).commands[name].make_context(name, arguments) is not None
