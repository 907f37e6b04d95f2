"""The grid of a preset: parameters that take several values, each combination in an execution of its own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from edgebook import parameters
from edgebook.errors import BadInput
from edgebook.parameters import PARAMS

Grid = dict[str, dict[str, list[Any]]]  # notebook, or shared -> parameter, or recipe.field -> values
NAMING = "grid_values"  # the parameter that tells the executions of a grid apart
ELSEWHERE = {"task": "points", "model": "points", "seed": "seeds", "run": "--name", NAMING: "grid"}


def read_grid(content: dict[str, Any], where: str, notebooks: dict[str, Any]) -> Grid:
    """The grid in a preset's section. Raises BadInput for a notebook that the preset has not, a parameter that it lacks or
    that is set elsewhere, a value that is not allowed, or given twice.
    """
    for section, axes in content.items():
        if section != "shared" and section not in notebooks:
            raise BadInput(f"{where}: {section!r} is not under notebooks; allowed: shared, {', '.join(notebooks)}")
        if not isinstance(axes, dict):
            raise BadInput(f"{where}: {section} = {axes!r:.80}: a mapping from parameters to lists of values is needed")
        for axis, values in axes.items():
            _check_axis(
                axis, values, f"{where}: {section}", parameters.notebook_defaults(section) if section != "shared" else PARAMS
            )
    return content


def _check_axis(axis: Any, values: Any, where: str, known: dict[str, Any]) -> None:
    name, _, inner = str(axis).partition(".")
    if name in ELSEWHERE:
        raise BadInput(f"{where}: {name} is set by {ELSEWHERE[name]}")
    if name not in known or (inner and not PARAMS[name].merges):
        raise BadInput(f"{where}: {axis!r} is no parameter of it; allowed: {', '.join(sorted(known))}, and recipe.field")
    if not isinstance(values, list) or not values or any(value in values[:n] for n, value in enumerate(values)):
        raise BadInput(f"{where}: {axis} = {values!r:.80}: a list of different values is needed")
    for value in values:
        parameters.check(layer({axis: value}), where=where)


def combinations(grid: Grid, notebook: str) -> Iterator[dict[str, Any]]:
    """For a notebook, axis -> value of every combination; one empty combination where the grid has nothing for it."""
    defaults = parameters.notebook_defaults(notebook)
    shared = {axis: values for axis, values in grid.get("shared", {}).items() if axis.partition(".")[0] in defaults}
    axes = shared | grid.get(notebook, {})
    if axes and NAMING not in defaults:
        raise BadInput(f"grid: {notebook} has no parameter {NAMING}, by which its executions would be told apart")
    for values in product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def layer(values: dict[str, Any]) -> dict[str, Any]:
    """A combination as a layer of parameters: `recipe.field` becomes a field of the recipe."""
    result: dict[str, Any] = {}
    for axis, value in values.items():
        name, _, inner = axis.partition(".")
        result[name] = {**result.get(name, {}), inner: value} if inner else value
    return result


def value_at(values: dict[str, Any], axis: str) -> Any:
    """The value that parameters have for an axis."""
    name, _, inner = axis.partition(".")
    return values[name].get(inner) if inner else values[name]
