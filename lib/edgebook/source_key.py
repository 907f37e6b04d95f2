"""What the result of a function depends on: every definition that it uses, however far away, and the libraries they import.

Complete: a change in anything that is used gives another key. Narrow: prose, types, a function beside it, another entry of
a registry, or what cannot change a result (`source_neutral`) give the same one. Methods that are called through a value (the
metric of a task, a layer of a network) cannot be seen in the source: whoever asks for the key names those values as roots.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import os
import re
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgebook.errors import BadInput
from edgebook.libraries import versions_of
from edgebook.source_neutral import is_neutral
from edgebook.source_tree import PATH, Source, direct_texts, form, locate, parse, read_module, registry, uses

STARTED_NS = time.time_ns()
LIBRARY = re.compile(r"[A-Za-z][\w-]*")  # what may be the name of a distribution


@dataclass(frozen=True)
class Closure:
    """The digest of all that was reached, its definitions ("module:name", neutral ones too) and library versions."""

    digest: str
    definitions: frozenset[str]
    versions: dict[str, str]


def closure(*roots: Any, names: Iterable[str] = (), code: str = "", packages: Iterable[str] = ("edgebook",)) -> Closure:
    """What `roots` and the top-level statements of `code` depend on.

    roots: functions, classes, "module:name" strings (of another package: its version counts), or values of module-level
    variables, such as a kind of task. names: texts that select entries of registries (a model's name, a preset's values):
    the other entries are left out. packages: those that are followed. A module that was edited after this process has
    started may not be what this process runs: it counts as nothing that another process can have. Raises BadInput for a root
    without readable source, or a function that captures variables.
    """
    walk = _Walk(set(packages), set(names))
    for root in roots:
        module, name = _place(root)
        if not isinstance(root, str):
            walk.local.add(module.split(".")[0])
        if module.split(".")[0] in walk.local and read_module(module) is None:
            raise BadInput(f"{module}: its source cannot be read; allowed: what a module defines that is a file")
        walk.follow(module, name)
    if code:
        source = parse("__code__", code)
        source.effects.extend(node for nodes in source.definitions.values() for node in nodes)
        walk.sources["__code__"] = source
        walk.visit_effects(source)
    walk.run()
    content = sorted(walk.content.items()) + _edited(walk.sources)
    versions = versions_of(walk.libraries)
    digest = hashlib.sha256(json.dumps([content, sorted(versions.items())]).encode()).hexdigest()
    return Closure(digest, frozenset(walk.reached), versions)


def _place(root: Any) -> tuple[str, str]:
    """(module, name) of a root."""
    if isinstance(root, str):
        module, _, name = root.partition(":")
        return module, name
    if not (inspect.isroutine(root) or inspect.isclass(root)):
        return _place_of_value(root)
    root = inspect.unwrap(root)
    if "<" in root.__qualname__ or getattr(root, "__closure__", None):
        raise BadInput(f"{root.__qualname__}: its result cannot be stored; allowed: a function of a module that captures nothing")
    return root.__module__, root.__qualname__.split(".")[0]


def _place_of_value(value: Any) -> tuple[str, str]:
    """The module-level variable that holds a value."""
    for module in [module for name, module in sorted(sys.modules.items()) if name.split(".")[0] == "edgebook"]:
        for name, held in list(vars(module).items()):
            if held is value:
                return module.__name__, name
    raise BadInput(f"{value!r:.80}: its result cannot be stored; allowed: a value that a module of edgebook defines")


def _edited(modules: Iterable[str]) -> list[tuple[str, int, int]]:
    """Of the modules that are loaded here, those whose file is newer than this process."""
    files = {module: locate(module) for module in modules if module in sys.modules and not is_neutral(module)}
    changed = {module: file.stat().st_mtime_ns for module, file in files.items() if file}
    return sorted((module, time_ns, os.getpid()) for module, time_ns in changed.items() if time_ns > STARTED_NS)


@dataclass
class _Walk:
    """One search through the source: what is still to visit, and what was reached."""

    local: set[str]  # top-level packages that are followed
    names: set[str]
    constants: set[str] = field(default_factory=set)
    libraries: set[str] = field(default_factory=set)
    reached: set[str] = field(default_factory=set)
    whole: set[str] = field(default_factory=set)  # modules of which everything was reached
    content: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, Source | None] = field(default_factory=dict)
    files: dict[str, Path | None] = field(default_factory=dict)
    registries: dict[str, tuple[str, dict[str, ast.AST]]] = field(default_factory=dict)  # place -> (module, entries)
    entries: set[str] = field(default_factory=set)  # places of the selected entries
    waiting: list[tuple[str, str, ast.AST]] = field(default_factory=list)  # (module, place, code)

    def run(self) -> None:
        """Visit until nothing new is reached; registries last, since any text found on the way may select an entry."""
        while self.waiting or self._select_entries():
            while self.waiting:
                module, place, node = self.waiting.pop()
                self.content.setdefault(place, []).append(form(node))
                self._visit(module, node, is_entry=place in self.entries)

    def follow(self, module: str, name: str) -> None:
        """Reach a definition, or the whole module or package when `name` is empty."""
        if module.split(".")[0] not in self.local:
            self._add_library(module)
            return
        if is_neutral(module, name):
            self.reached.add(f"{module}:{name}")
            return
        source = self._source(module)
        if source is None:  # importing it will fail, or be caught
            return
        if not name:
            self._follow_module(module, source)
        elif name in source.definitions:
            self._reach(module, name, source)
        elif name in source.imports:
            self._follow_import(source.imports[name], ())
        elif self._locate(f"{module}.{name}"):
            self.follow(f"{module}.{name}", "")
        elif name.startswith("__"):  # such as `module.__file__`: whoever has that may run all of it
            self._follow_definitions(module, source)
        else:
            self._enter(module)

    def _locate(self, module: str) -> Path | None:
        if module not in self.files:
            self.files[module] = locate(module)
        return self.files[module]

    def _source(self, module: str) -> Source | None:
        if module not in self.sources:
            self.sources[module] = read_module(module) if module else None
        return self.sources[module]

    def _enter(self, module: str) -> None:
        """Visit what runs when a module is imported, in the packages around it too: it is part of everything in it."""
        place, source = f"{module}:", self._source(module)
        if source and place not in self.reached:
            self.reached.add(place)
            self.visit_effects(source)
            self._enter(module.rpartition(".")[0])

    def visit_effects(self, source: Source) -> None:
        for node in source.effects:
            self.waiting.append((source.module, f"{source.module}:", node))

    def _follow_definitions(self, module: str, source: Source) -> None:
        self._enter(module)
        for name in source.definitions:
            self._reach(module, name, source)

    def _follow_module(self, module: str, source: Source) -> None:
        """Everything in a module, and in the modules beside the __init__ of a package."""
        if module in self.whole:
            return
        self.whole.add(module)
        self._follow_definitions(module, source)
        file = self._locate(module)
        for beside in sorted(file.parent.glob("*.py")) if file and file.name == "__init__.py" else ():
            if beside != file:
                self.follow(f"{module}.{beside.stem}", "")

    def _reach(self, module: str, name: str, source: Source) -> None:
        place = f"{module}:{name}"
        if place in self.reached:
            return
        self.reached.add(place)
        if is_neutral(module, name):
            return
        self._enter(module)
        for node in source.definitions[name]:
            entries = registry(node, self.local)
            if entries is None:
                self.waiting.append((module, place, node))
            else:
                self.registries[place] = (module, entries)

    def _select_entries(self) -> bool:
        """Reach the entries of registries that a text has named; whether there were any."""
        before = len(self.waiting)
        for place, (module, entries) in self.registries.items():
            for key in [key for key in entries if key in self.constants or any(key in name for name in self.names)]:
                self.entries.add(f"{place}[{key}]")
                self.waiting.append((module, f"{place}[{key}]", entries.pop(key)))
        return len(self.waiting) > before

    def _visit(self, module: str, node: ast.AST, *, is_entry: bool) -> None:
        """Follow what a piece of code uses."""
        used, source = uses(node, module), self.sources[module]
        for head, *attributes in used.chains:
            if head in used.imports:
                self._follow_import(used.imports[head], attributes)
            elif head in source.definitions:
                self._reach(module, head, source)
            elif head in source.imports:
                self._follow_import(source.imports[head], attributes)
        for text in used.texts:
            self._follow_text(text)
        if is_entry or isinstance(node, ast.Assign):
            self.libraries |= {text for text in used.texts if LIBRARY.fullmatch(text)}  # a runtime's record names some
        self.constants |= direct_texts(node) if is_entry else used.texts  # a record may name another, as its parent

    def _follow_import(self, target: tuple[str, str], attributes: Iterable[str]) -> None:
        """Follow `from module import name`, or what is taken from an imported module by `attributes`."""
        module, name = target
        if module.split(".")[0] not in self.local:
            self._add_library(module)
            return
        chain = [*([name] if name else []), *attributes]
        while chain and self._locate(f"{module}.{chain[0]}") and not self._defines(module, chain[0]):
            module = f"{module}.{chain.pop(0)}"
        self.follow(module, chain[0] if chain else "")

    def _defines(self, module: str, name: str) -> bool:
        source = self._source(module)
        return source is not None and (name in source.definitions or name in source.imports)

    def _follow_text(self, text: str) -> None:
        """Follow "package.module:name", and a package's or module's full name, as registries hold them."""
        match = PATH.fullmatch(text)
        if match and "." in match[1] and match[1].split(".")[0] in self.local and self._locate(match[1]):
            self.follow(match[1], match[2] or "")

    def _add_library(self, module: str) -> None:
        top = module.split(".")[0]
        if top not in sys.stdlib_module_names and top != "__future__":
            self.libraries.add(top)
