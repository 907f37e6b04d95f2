"""How tests read the repository's source: files, syntax trees, imports."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIB = ROOT / "lib"


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a module, or of all code cells of a notebook."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code")
    return ast.parse(text)


def modules() -> list[Path]:
    """Every module of the library."""
    return sorted(LIB.rglob("*.py"))


def module_name(path: Path) -> str:
    """`edgebook.tasks.digits` for lib/edgebook/tasks/digits.py, `edgebook.tasks` for its __init__."""
    parts = path.relative_to(LIB).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path: Path) -> Iterator[str]:
    """Full names of what a file imports, inside functions too; `from a import b` gives `a.b`. Imports for type checkers only
    are left out: they cost nothing when the program runs."""
    skipped = {id(node) for block in ast.walk(tree(path)) if _for_types_only(block) for node in ast.walk(block)}
    for node in ast.walk(tree(path)):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def third_party(paths: list[Path]) -> set[str]:
    """Top-level names of the packages that these files import and that are neither Python's nor this repository's."""
    ours = {"edgebook"} | {path.stem for folder in ("tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")}
    names = {name.split(".")[0] for path in paths for name in imported_modules(path)}
    return names - set(sys.stdlib_module_names) - ours
