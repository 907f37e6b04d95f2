"""Preset -> executions, every name and value checked before anything starts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from edgebook import parameters
from edgebook.errors import BadInput
from edgebook.naming import execution_name, is_path
from edgebook.runner.notebook_file import reads
from edgebook.runner.preset import Point, Preset, merged


@dataclass(frozen=True)
class Execution:
    """One notebook with its resolved parameters. reads: see `notebook_file.READS`."""

    notebook: str
    name: str
    params: dict[str, Any]
    reads: frozenset[str] = frozenset({"data"})


def plan(preset: Preset, run: str) -> list[Execution]:
    """Every execution of a preset, in order: notebook by notebook and point by point, then those that run once.

    Order of precedence: the notebook's cell < shared < notebooks < point < command line. Raises BadInput, also for a value
    that no execution takes.
    """
    parameters.check({"run": run}, where="--name")
    per_point = [stem for stem in sorted(preset.notebooks) if stem not in preset.once]
    executions = []
    for stem in per_point:
        for point in preset.points:
            if point.has(stem):
                executions += [_execution(preset, stem, point, seed, run) for seed in preset.seeds]
    executions += [_execution(preset, stem, None, None, run) for stem in preset.once]
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


def stages(executions: list[Execution]) -> Iterator[list[Execution]]:
    """Executions that may run side by side, in order: what reads the rows of others waits for all before it."""
    for _, stage in groupby(executions, key=lambda execution: execution.notebook if "rows" in execution.reads else None):
        yield list(stage)


def absolute(name: str) -> str:
    """A path as seen from anywhere: `~` is the home, relative ones start where the user stands; other names as they are."""
    if not is_path(name):
        return name
    path, colon, function = name.rpartition(":")
    return f"{Path(path if colon else name).expanduser().absolute()}{colon}{function if colon else ''}"


def _execution(preset: Preset, stem: str, point: Point | None, seed: int | None, run: str) -> Execution:
    defaults = parameters.notebook_defaults(stem)
    if point is None and "task" in defaults:
        raise BadInput(f"{preset.path}: once: {stem} has a task: it belongs under notebooks alone")
    identity = {"run": run} if point is None else {"run": run, "task": point.task, "model": point.model, "seed": seed}
    layers = [preset.shared, preset.notebooks.get(stem, {}), point.params if point else {}]
    overrides = [preset.overrides.get("shared", {}), preset.overrides.get(stem, {})]
    values = dict(defaults)
    for layer in [*layers, *overrides, identity]:
        values = merged(values, {name: value for name, value in layer.items() if name in defaults})
    values |= {name: absolute(values[name]) for name in values if _is_place(name, values[name])}
    parameters.check(values, where=f"{preset.path}: {stem}")
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
    given += [(f"points[{number}]: params", point.params, takers(point)) for number, point in enumerate(preset.points)]
    for where, values, stems in given:
        taken = {name for stem in stems for name in parameters.notebook_defaults(stem)}
        if passed_over := sorted(values.keys() - taken - {"seed"}):
            raise BadInput(f"{preset.path}: {where}: {', '.join(passed_over)} is a parameter of no notebook that runs there")
