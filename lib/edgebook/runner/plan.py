"""Preset -> executions, every name and value checked before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from edgebook import parameters
from edgebook.errors import BadInput
from edgebook.naming import case_id, execution_name, is_package, is_path
from edgebook.runner.grid import NAMING, combinations, layer, value_at
from edgebook.runner.notebook_file import reads
from edgebook.runner.preset import Point, Preset, Values, merged

Case = tuple[str | None, int | None]


@dataclass(frozen=True)
class Execution:
    """One notebook with its resolved parameters. reads: see `notebook_file.READS`."""

    notebook: str
    name: str
    params: dict[str, Any]
    reads: frozenset[str] = frozenset({"data"})


def plan(preset: Preset, run: str) -> list[Execution]:
    """Every execution of a preset, in order: those that run once and read no rows, notebook by notebook and point by point,
    then the others that run once.

    Order of precedence: the notebook's cell < shared < notebooks < point < grid < command line. Raises BadInput, also for a value
    that no execution takes.
    """
    parameters.check({"run": run}, where="--name")
    per_point = [stem for stem in sorted(preset.notebooks) if stem not in preset.once]
    executions = []
    for stem in per_point:
        for point in preset.points:
            if point.has(stem):
                cells = product(preset.seeds, combinations(preset.grid, stem))
                executions += [_execution(preset, stem, run, point, seed, values) for seed, values in cells]
    once = [_execution(preset, stem, run) for stem in preset.once]
    executions = [
        *(execution for execution in once if "rows" not in execution.reads),
        *executions,
        *(execution for execution in once if "rows" in execution.reads),
    ]
    if not executions:
        raise BadInput(f"{preset.path}: nothing to run: it has no notebook for any of its points")
    _check_names(preset, executions)
    _check_all_taken(preset, per_point)
    return executions


def chosen(executions: list[Execution], only: list[str] | None) -> list[Execution]:
    """Those of the notebooks named in `only`, all when there are none. Raises BadInput when nothing is left."""
    for stem in only or []:
        parameters.notebook_defaults(stem)
    named = [execution for execution in executions if not only or execution.notebook in only]
    if not named:
        stems = ", ".join(dict.fromkeys(execution.notebook for execution in executions))
        raise BadInput(f"--only {' '.join(only or [])}: this preset has {stems}")
    return named


def sources(execution: Execution, executions: Sequence[Execution]) -> list[Execution]:
    """The executions whose rows are read: those of earlier notebooks, with a task only the ones of its data, network and seed."""
    if "rows" not in execution.reads:
        return []
    earlier = [other for other in executions if other.notebook < execution.notebook]
    if "task" not in execution.params:
        return earlier
    return [other for other in earlier if case_of(other) == case_of(execution)]


def case_of(execution: Execution) -> Case:
    """What executions share that need the same trained baseline: the case and the seed; the case is None without data."""
    return case_id(execution.params), execution.params.get("seed")


def absolute(name: str) -> str:
    """A path as seen from anywhere: `~` is the home, relative ones start where the user stands; other names as they are."""
    if not is_path(name) or is_package(name):
        return name
    path, colon, function = name.rpartition(":")
    return f"{Path(path if colon else name).expanduser().absolute()}{colon}{function if colon else ''}"


def _execution(
    preset: Preset, stem: str, run: str, point: Point | None = None, seed: int = 0, grid_values: Values | None = None
) -> Execution:
    """One execution; without a point of a notebook that runs once."""
    defaults = parameters.notebook_defaults(stem)
    if point is None and "task" in defaults:
        raise BadInput(f"{preset.path}: once: {stem} has a task: it belongs under notebooks alone")
    identity: Values = {"run": run}
    if point:
        identity |= {"task": point.task, "model": point.model, "seed": seed, NAMING: grid_values or {}}
    layers = [preset.shared, preset.notebooks.get(stem, {}), point.params if point else {}, layer(grid_values or {})]
    overrides = [preset.overrides.get("shared", {}), preset.overrides.get(stem, {})]
    values = dict(defaults)
    for given in [*layers, *overrides, identity]:
        values = merged(values, {name: value for name, value in given.items() if name in defaults})
    values |= {name: absolute(values[name]) for name in values if _is_place(name, values[name])}
    if (values.get("baseline_recipe") or {}).get("weights"):
        weights = str(Path(values["baseline_recipe"]["weights"]).expanduser().absolute())
        values["baseline_recipe"] = {**values["baseline_recipe"], "weights": weights}
    parameters.check(values, where=f"{preset.path}: {stem}")
    if lost := [axis for axis, value in (grid_values or {}).items() if value_at(values, axis) != value]:
        raise BadInput(
            f"--set {stem}: {lost[0]} has several values in the grid; change them there: --set grid.{stem}.{lost[0]}=[...]"
        )
    return Execution(stem, execution_name(stem, values), values, reads(stem))


def _is_place(name: str, value: Any) -> bool:
    return parameters.PARAMS[name].takes_path and isinstance(value, str)


def _check_names(preset: Preset, executions: list[Execution]) -> None:
    names = [execution.name for execution in executions]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise BadInput(f"{preset.path}: two points have the same task, model, model_shape and seed: {repeated[0]}")


def _check_all_taken(preset: Preset, per_point: list[str]) -> None:
    """A value that no execution takes is a mistake: its name may belong to another notebook."""

    def takers(point: Point) -> list[str]:
        return [stem for stem in per_point if point.has(stem)]

    everywhere = [stem for point in preset.points for stem in takers(point)] + list(preset.once)
    given = [("shared", preset.shared, everywhere), ("--set shared", preset.overrides.get("shared", {}), everywhere)]
    given += [("grid: shared", layer(dict.fromkeys(preset.grid.get("shared", {}))), per_point)]
    given += [(f"points[{number}]: params", point.params, takers(point)) for number, point in enumerate(preset.points)]
    given += [(f"{where}{stem}", values, [stem] if stem in everywhere else []) for where, stem, values in _sections(preset)]
    for where, values, stems in given:
        taken = {name for stem in stems for name in parameters.notebook_defaults(stem)}
        if passed_over := sorted(values.keys() - taken - {"seed"}):
            raise BadInput(f"{preset.path}: {where}: {', '.join(passed_over)} is a parameter of no notebook that runs there")


def _sections(preset: Preset) -> list[tuple[str, str, Values]]:
    """(where it is given, notebook, values) of every notebook's own values."""
    overrides = [("--set ", stem, values) for stem, values in preset.overrides.items() if stem != "shared"]
    return [("notebooks: ", stem, values) for stem, values in preset.notebooks.items()] + overrides
