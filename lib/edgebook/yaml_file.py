"""YAML as people mean it: repeated keys are refused, and `1:30`, `on` or `2026-01-01` are texts, as in YAML 1.2."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, ClassVar

import yaml

from edgebook.errors import BadInput

MOST_VALUES = 100_000  # in one file, with every alias written out
LONGEST = 200  # characters of a reason


class _Loader(yaml.SafeLoader):
    """Plain data only."""

    # PyYAML's own names for its tables, which are those of YAML 1.1
    yaml_implicit_resolvers: ClassVar[dict] = {}
    yaml_constructors: ClassVar[dict] = {
        tag: constructor
        for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.rpartition(":")[2] in ("bool", "int", "float", "null", "str", "seq")
    }


# kind -> (its form, its first characters), the core schema of YAML 1.2
_FORMS = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?(?:0|[1-9][0-9_]*)", "-+0123456789"),
    "float": (
        r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    "null": (r"~|null|Null|NULL|", ("~", "n", "N", "")),
    "merge": (r"<<", "<"),
}
for _kind, (_form, _first) in _FORMS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(rf"(?:{_form})\Z"), list(_first))


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    """A mapping with texts as keys, each once."""
    loader.flatten_mapping(node)
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(problem=f"the key {key!r} is not a text", problem_mark=key_node.start_mark)
        if key in mapping:
            raise yaml.constructor.ConstructorError(problem=f"the key {key} is given twice", problem_mark=key_node.start_mark)
        mapping[key] = loader.construct_object(value_node, deep=True)
    return mapping


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def read(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises BadInput, one line with the file, the line in it and what is wrong."""
    path = Path(path)
    try:
        content = parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path}: is not text in UTF-8") from None
    except ValueError as error:
        raise BadInput(f"{path}: {error}") from None
    if not isinstance(content, dict):
        raise BadInput(f"{path}: a mapping is needed, not {type(content).__name__}")
    return content


def parse(text: str) -> Any:
    """The value that a YAML text stands for. Raises ValueError, one line."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is not None:
            _count(node, {})
        return None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ValueError(f"{line}{' '.join(str(error.problem).split())}"[:LONGEST]) from None
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())[:LONGEST]) from None
    except RecursionError:
        raise ValueError("too many values inside each other") from None


def _count(node: yaml.Node, sizes: dict[Hashable, int]) -> int:
    """How many values a node stands for, every alias written out. Raises ValueError for too many, or for one in itself."""
    if id(node) not in sizes:
        sizes[id(node)] = MOST_VALUES + 1  # while it is open: an alias of itself is too much
        children = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        is_scalar = isinstance(node, yaml.ScalarNode)
        sizes[id(node)] = 1 if is_scalar else 1 + sum(_count(child, sizes) for child in children)
    if sizes[id(node)] > MOST_VALUES:
        raise ValueError(f"more than {MOST_VALUES} values")
    return sizes[id(node)]
