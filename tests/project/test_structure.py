"""The structure that docs/extending.md describes: which room may import which, what starts without PyTorch, sizes."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from repository import LIB, ROOT, imported_modules, module_name, modules, tree

from edgebook.runner.notebook_file import reads

# a room may import those before it; rooms of one line do not import each other
ORDER = (
    ("spine",),
    ("affine", "metrics"),
    ("tasks", "models"),
    ("training",),
    ("runtimes",),
    ("boards",),
    ("measure",),
    ("compress",),
    ("experiment",),
    ("search",),
)
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}
ALLOWED = {room: {other for other in RANK if RANK[other] < rank} for room, rank in RANK.items()} | {
    "report": {"spine", "metrics"},
    "runner": {"spine"},
    "cli": {*RANK, "report", "runner"},  # the entry point: its commands import what they start
}

MAX_MODULE_LINES = 250
MAX_FUNCTION_LINES = 40
MAX_ARGUMENTS = 8  # after model and task
NOT_COUNTED = {"self", "cls", "model", "task", "nb"}  # nb: an execution of a notebook, which brings its task

TARGET = re.compile(r"(edgebook(?:\.\w+)+):\w*")  # "package.module:attribute", what registry.pick imports
OF_ONE_KIND = {"cross_entropy", "accuracy"}  # what only a kind of task and its metric know, beside argmax along an axis

Function = ast.FunctionDef | ast.AsyncFunctionDef


def room(name: str) -> str:
    """`tasks` for edgebook.tasks.digits; modules directly under edgebook are the spine, but for affine and cli."""
    parts = name.split(".")
    if len(parts) == 1 or not (LIB / "edgebook" / parts[1]).is_dir():
        return parts[1] if parts[1:2] in (["affine"], ["cli"]) else "spine"
    return parts[1]


def registries(path: Path) -> set[int]:
    """ids of the nodes inside a module's tables of names: dicts at its top level, assigned to a NAME in capitals."""
    tables: list[ast.AST] = []
    for node in tree(path).body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        if any(isinstance(target, ast.Name) and target.id.isupper() for target in targets):
            tables.append(node)
    return {id(inner) for table in tables for inner in ast.walk(table)}


def targets_in_strings(path: Path) -> Iterator[str]:
    """Modules that strings "edgebook.x:y" name, outside tables of names."""
    in_table = registries(path)
    strings = (node for node in ast.walk(tree(path)) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    matches = (TARGET.fullmatch(node.value) for node in strings if id(node) not in in_table)
    yield from (match[1] for match in matches if match)


def functions(path: Path) -> Iterator[Function]:
    yield from (node for node in ast.walk(tree(path)) if isinstance(node, Function))


def counted_arguments(function: Function) -> list[str]:
    given = function.args
    names = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return [name for name in names if name not in NOT_COUNTED]


def of_one_kind(node: ast.AST) -> str | None:
    """What a node says about classes: a name or a literal of OF_ONE_KIND, or an argmax along an axis of the outputs. An argmax
    over everything finds a place in a histogram and the like."""
    if isinstance(node, ast.Call) and getattr(node.func, "attr", None) == "argmax":
        along = [isinstance(argument, ast.Constant | ast.UnaryOp) for argument in node.args]
        return "argmax" if any(along) or node.keywords else None
    names = (getattr(node, "attr", None), getattr(node, "id", None), getattr(node, "value", None))
    return next((name for name in names if isinstance(name, str) and name in OF_ONE_KIND), None)


def here(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_room_has_its_place_in_the_order():
    assert {room(module_name(path)) for path in modules()} <= ALLOWED.keys()


def test_imports_point_one_way():
    wrong = []
    for path in modules():
        mine = room(module_name(path))
        for name in [*imported_modules(path), *targets_in_strings(path)]:
            if name.split(".")[0] == "edgebook" and (other := room(name)) != mine and other not in ALLOWED[mine]:
                wrong.append(f"{here(path)} ({mine}) imports {name} ({other})")
    assert wrong == []


def test_techniques_do_not_import_each_other():
    techniques = {path.name for path in (LIB / "edgebook" / "compress").iterdir() if path.is_dir() and path.name[0] != "_"}
    wrong = []
    for path in modules():
        mine = module_name(path).split(".")[2:3] if room(module_name(path)) == "compress" else []
        for name in imported_modules(path) if mine and mine[0] in techniques else ():
            other = name.split(".")[2:3] if name.startswith("edgebook.compress.") else mine
            if other != mine and other[0] in techniques:
                wrong.append(f"{here(path)} imports {name}")
    assert wrong == []


@pytest.mark.parametrize("module", ["cli", "parameters", "rows", "devices", "report.answer", "report.aggregate", "runner.plan"])
def test_what_starts_without_pytorch(module):
    command = f"import sys, edgebook.{module}; print(*{{'torch', 'pandas', 'matplotlib'}} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_modules_are_short():
    lengths = {here(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    assert {name: n for name, n in lengths.items() if n > MAX_MODULE_LINES} == {}


def test_functions_are_short():
    lengths = {
        f"{here(path)}: {function.name}": function.end_lineno - function.lineno + 1
        for path in modules()
        for function in functions(path)
        if function.end_lineno
    }
    assert {name: n for name, n in lengths.items() if n > MAX_FUNCTION_LINES} == {}


def test_functions_take_few_arguments():
    called = [
        path for path in modules() if room(module_name(path)) != "cli"
    ]  # a command's arguments are options, each with a name
    arguments = {f"{here(path)}: {function.name}": counted_arguments(function) for path in called for function in functions(path)}
    assert {name: len(given) for name, given in arguments.items() if len(given) > MAX_ARGUMENTS} == {}


def test_no_line_is_kept_from_the_formatter():
    assert [here(path) for path in modules() if "fmt: skip" in path.read_text(encoding="utf-8")] == []


def test_only_kinds_and_metrics_know_classification():
    files = [path for path in modules() if room(module_name(path)) not in ("metrics", "tasks")]
    files += [path for path in sorted((ROOT / "notebooks").glob("*.ipynb")) if reads(path.stem)]  # the others explain
    wrong = []
    for path in files:
        for node in ast.walk(tree(path)):
            if (name := of_one_kind(node)) is not None:
                wrong.append(f"{here(path)}:{node.lineno}: {name}")
    assert wrong == []
