"""Python source as definitions: what a module defines at its top level, what it imports, and which names a piece of code uses."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

PATH = re.compile(r"([A-Za-z_]\w*(?:\.\w+)*)(?::(\w*))?")  # "package.module" or "package.module:attribute"
Chain = tuple[str, ...]  # `rows.build` as ("rows", "build")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """A parsed module. imports: name in this module -> where it comes from, ("package.module", "attribute" or "")."""

    module: str
    definitions: dict[str, list[ast.AST]] = field(default_factory=dict)
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)
    effects: list[ast.AST] = field(default_factory=list)  # other statements, which run when the module is imported


@dataclass(frozen=True)
class Uses:
    """What a piece of code refers to."""

    chains: frozenset[Chain]
    texts: frozenset[str]  # string constants
    imports: dict[str, tuple[str, str]]  # made inside of it


def locate(module: str) -> Path | None:
    """The file of a module, without importing it or the packages around it; None where there is none in Python."""
    top, *parts = module.split(".")
    if file := getattr(sys.modules.get(module), "__file__", None):
        return Path(file) if file.endswith(".py") else None
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or not parts:
        return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None
    for folder in spec.submodule_search_locations or ():
        base = Path(folder, *parts)
        for file in (base.with_suffix(".py"), base / "__init__.py"):
            if file.is_file():
                return file
    return None


def read_module(module: str) -> Source | None:
    """The parsed module as it is on the disk now, or None where `locate` finds none."""
    file = locate(module)
    if file is None:
        return None
    state = file.stat()
    return _parsed(module, file, state.st_mtime_ns, state.st_size)


@cache
def _parsed(module: str, file: Path, changed_ns: int, size: int) -> Source:
    """One entry per state of a file, so that an edited file is read again."""
    return parse(module, file.read_text(encoding="utf-8"), is_package=file.name == "__init__.py")


def parse(module: str, text: str, *, is_package: bool = False) -> Source:
    """The definitions of a module's text, without docstrings, comments and annotations: what can change a result.

    Raises SyntaxError.
    """
    tree: Any = _Stripper().visit(ast.parse(text))
    source = Source(module)
    package = module if is_package else module.rpartition(".")[0]
    for node in tree.body:
        _sort(source, node, package)
    return source


def _sort(source: Source, node: ast.stmt, package: str) -> None:
    """Put a top-level statement where it belongs."""
    if isinstance(node, Function | ast.ClassDef):
        source.definitions.setdefault(node.name, []).append(node)
    elif isinstance(node, ast.Import | ast.ImportFrom):
        source.imports.update(_bindings(node, package))
    elif isinstance(node, ast.Assign | ast.AnnAssign) and (names := _assigned(node)):
        for name in names:
            source.definitions.setdefault(name, []).append(node)
    elif not _for_types_only(node):
        source.effects.append(node)
        source.imports.update(_inner_imports(node, package))


def _assigned(node: ast.Assign | ast.AnnAssign) -> list[str]:
    """The names that an assignment binds; none when it also changes something else (`TABLE["x"] = 1`)."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    flat = [inner for target in targets for inner in (target.elts if isinstance(target, ast.Tuple) else [target])]
    return [target.id for target in flat if isinstance(target, ast.Name)] if all(isinstance(t, ast.Name) for t in flat) else []


def _bindings(node: ast.Import | ast.ImportFrom, package: str) -> dict[str, tuple[str, str]]:
    if isinstance(node, ast.Import):
        return {a.asname or a.name.split(".")[0]: (a.name if a.asname else a.name.split(".")[0], "") for a in node.names}
    base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
    module = ".".join([*base, *([node.module] if node.module else [])])
    return {alias.asname or alias.name: (module, alias.name) for alias in node.names}


def _inner_imports(node: ast.AST, package: str) -> dict[str, tuple[str, str]]:
    imports: dict[str, tuple[str, str]] = {}
    for inner in ast.walk(node):
        if isinstance(inner, ast.Import | ast.ImportFrom):
            imports.update(_bindings(inner, package))
    return imports


@cache
def form(node: ast.AST) -> str:
    """The code as text without positions; equal for equal code."""
    return ast.dump(node)


@cache
def uses(node: ast.AST, module: str) -> Uses:
    """The names, attributes, texts and imports in a piece of code of `module`."""
    chains = frozenset(_chains(node))
    texts = frozenset(n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str))
    return Uses(chains, texts, _inner_imports(node, module.rpartition(".")[0]))


def _chains(node: ast.AST) -> Iterator[Chain]:
    """Every name that is read, with the attributes that follow it."""
    attributes: list[str] = []
    inner = node
    while isinstance(inner, ast.Attribute):
        attributes.insert(0, inner.attr)
        inner = inner.value
    if isinstance(inner, ast.Name):
        yield (inner.id, *attributes)
        return
    for child in ast.iter_child_nodes(inner):
        yield from _chains(child)


def registry(node: ast.AST, local: set[str]) -> dict[str, ast.AST] | None:
    """Key -> entry of a table of names; None for anything else.

    Either a dict in which every entry holds a place in a local package, or calls whose first argument is their name
    (`registered(Runtime("onnx", ...), ...)`, `{x.name: x for x in (Runtime("onnx", ...), ...)}`), of which some do.
    """
    entries: dict[Any, Any]
    value, enough = getattr(node, "value", None), any
    if isinstance(value, ast.Dict):
        enough = all
        entries = {getattr(key, "value", None): inner for key, inner in zip(value.keys, value.values, strict=True)}
    elif isinstance(value, ast.DictComp) and isinstance(items := value.generators[0].iter, ast.Tuple | ast.List):
        entries = _named_calls(items.elts)
    elif isinstance(value, ast.Call) and not value.keywords:
        entries = _named_calls(value.args)
    else:
        return None
    is_registry = all(isinstance(key, str) for key in entries) and enough(_holds_place(e, local) for e in entries.values())
    return entries if entries and is_registry else None


def _named_calls(items: list[ast.expr]) -> dict[str | None, ast.AST]:
    """Calls by their first argument; of `*(Runtime(name, ...) for name in ("a", "b"))` each name."""
    entries: dict[str | None, ast.AST] = {}
    for item in items:
        inner = item.value if isinstance(item, ast.Starred) else None
        if isinstance(inner, ast.GeneratorExp) and isinstance(names := inner.generators[0].iter, ast.Tuple):
            entries |= {getattr(name, "value", None): item for name in names.elts}
        else:
            entries[_first_text(item)] = item
    return entries


def direct_texts(node: ast.AST) -> set[str]:
    """The arguments of a call that are texts themselves, not those inside of lists."""
    values = [*node.args, *(keyword.value for keyword in node.keywords)] if isinstance(node, ast.Call) else []
    return {value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)}


def _first_text(node: ast.AST) -> str | None:
    """The first argument of a call, where it is a text."""
    first = node.args[0] if isinstance(node, ast.Call) and node.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


def _holds_place(node: ast.AST, local: set[str]) -> bool:
    """Whether a text in it is the full name of a module of a local package, or of something there."""
    texts = [inner.value for inner in ast.walk(node) if isinstance(inner, ast.Constant) and isinstance(inner.value, str)]
    matches = [match for text in texts if (match := PATH.fullmatch(text)) and "." in match[1]]
    return any(match[1].split(".")[0] in local for match in matches)


def _for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


class _Stripper(ast.NodeTransformer):
    """Removes what cannot change a result: docstrings, annotations, blocks for type checkers."""

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, Function | ast.ClassDef | ast.Module) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or ([] if isinstance(node, ast.Module) else [ast.Pass()])
        if isinstance(node, Function):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
        if isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)  # the field remains: a dataclass is made of them
        if _for_types_only(node):
            return ast.Pass()
        return self.generic_visit(node)
