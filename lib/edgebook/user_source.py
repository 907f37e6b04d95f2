"""The user's own network: every file that decides what it computes."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from edgebook.errors import BadInput
from edgebook.files import sha256
from edgebook.libraries import versions_of
from edgebook.source_key import closure


def path_of(name: str) -> Path:
    """The file of `path/to/net.py:build`, or of a plain path; absolute."""
    path, colon, function = name.rpartition(":")
    return Path(path if colon and function.isidentifier() else name).expanduser().absolute()


def user_source(name: str) -> dict[str, str]:
    """What decides a network of the user's own: sha256 of the file and, however deep, of the modules beside it that it imports,
    and of the files that a text in it names (weights); versions of the libraries that they import.

    Keys are paths relative to the file's folder, and names of libraries. Raises BadInput for a file that cannot be read.
    """
    file = path_of(name)
    digests: dict[str, str] = {}
    libraries: set[str] = set()
    _add(file, file.parent, digests, libraries)
    return digests | versions_of(libraries)


def _add(file: Path, folder: Path, digests: dict[str, str], libraries: set[str]) -> None:
    place = str(file.relative_to(folder)) if file.is_relative_to(folder) else str(file)
    if place in digests:
        return
    try:
        digests[place] = sha256(file)
        tree = ast.parse(file.read_bytes()) if file.suffix == ".py" else ast.Module([], [])
    except OSError as error:
        raise BadInput(f"{file}: cannot be read: {error.strerror}") from None
    except (SyntaxError, ValueError) as error:
        raise BadInput(f"{file}: is not Python: {error}") from None
    for module in sorted(_imported(tree, file.parent.relative_to(folder).parts if file.is_relative_to(folder) else ())):
        beside, top = _files_of(module, folder), module.split(".")[0]
        if not beside and top == "edgebook":
            digests[f"{place} of edgebook"] = closure(code=file.read_text(encoding="utf-8")).digest
        elif not beside and top not in sys.stdlib_module_names:
            libraries.add(top)
        for inner in beside:
            _add(inner, folder, digests, libraries)
    for named in _named_files(tree, folder):
        _add(named, folder, digests, libraries)


def _imported(tree: ast.AST, package: tuple[str, ...]) -> set[str]:
    """Full names of what is imported, `from a import b` as `a.b`; leading dots count from `package`."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = [*base, *([node.module] if node.module else [])]
            names |= {".".join([*module, alias.name]) for alias in node.names}
    return names


def _files_of(module: str, folder: Path) -> list[Path]:
    """The files in the folder that run when `module`, or a name in it, is imported: packages around it and itself."""
    parts = module.split(".")
    files = []
    for n in range(1, len(parts) + 1):
        base = folder.joinpath(*parts[:n])
        files += [path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()]
    return files


def _named_files(tree: ast.AST, folder: Path) -> list[Path]:
    """Files that a text in the source names, relative to its folder or to where the user stands."""
    texts = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    places = [Path(base, text).expanduser() for text in sorted(texts) if 0 < len(text) < 200 for base in (folder, Path.cwd())]
    return [place for place in places if "\0" not in str(place) and place.is_file()]
