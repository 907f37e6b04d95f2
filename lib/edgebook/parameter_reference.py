"""The table of parameters as text for people."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from edgebook.parameter_types import LARGEST
from edgebook.parameters import PARAMS


def reference(names: list[str] | None = None) -> list[dict[str, str]]:
    """The table of parameters as text: name, type, unit, meaning, for all or for the given names."""
    lines = []
    for name in names or PARAMS:
        param = PARAMS[name]
        if param.merges:
            allowed = "fields: " + ", ".join(f"{field} ({_in_words(type_)})" for field, type_ in param.type.items())
        else:
            allowed = _in_words(param.type)
        if param.choices:
            allowed = f"{allowed.split()[0]}: {', '.join(param.names())}"
        lines.append({"name": name, "type": allowed, "unit": param.unit, "meaning": param.meaning})
    return lines


def _in_words(type_: Any) -> str:
    """A type in a few words: `number, >= 0, < 1`, `one of adam, sgd`, `list of (...)`."""
    return _schema_in_words(TypeAdapter(type_).json_schema())


def _schema_in_words(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    if "anyOf" in schema:
        return " or ".join(_schema_in_words(option) for option in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of ({_schema_in_words(schema['items'])})"
    bounds = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    kind = str(schema.get("type", "any")).replace("object", "mapping")
    return ", ".join([kind, *(f"{sign} {schema[key]:g}" for key, sign in bounds.items() if schema.get(key, LARGEST) != LARGEST)])
