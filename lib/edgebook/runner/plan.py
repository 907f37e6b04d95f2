"""Preset -> checked executions: every name, value and data set is looked at before anything starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from edgebook import parameters as params
from edgebook.errors import BadInput
from edgebook.experiment.notebook import execution_name

SECTIONS = {"shared", "points", "notebooks", "once", "seeds"}


@dataclass(frozen=True)
class Execution:
    """One notebook with its resolved parameters."""

    notebook: str
    name: str
    params: dict[str, Any]


def read_preset(path: Path, overrides: list[str] | None = None) -> dict[str, Any]:
    """The preset with `--set notebook.parameter=value` applied. Raises BadInput."""
    path = Path(path)
    if not path.exists() and path.suffix != ".yaml":
        known = params.NOTEBOOKS.parent / "params"
        path = known / f"{path.name}.yaml"
        if not path.exists():
            raise BadInput(f"preset {path.stem!r} is unknown; known: {', '.join(sorted(p.stem for p in known.glob('*.yaml')))}")
    preset = {"shared": {}, "points": [], "notebooks": {}, "once": [], "seeds": None, **params.read_yaml(path)}
    if unknown := preset.keys() - SECTIONS:
        raise BadInput(f"{path}: {', '.join(sorted(unknown))} is unknown; allowed: {', '.join(sorted(SECTIONS))}")
    for name, kind in (("shared", dict), ("notebooks", dict), ("points", list), ("once", list)):
        if not isinstance(preset[name], kind):
            raise BadInput(f"{path}: {name} = {preset[name]!r}: a {kind.__name__} is needed")
    for override in overrides or []:
        _apply(preset, override)
    preset["path"] = path
    return preset


def _apply(preset: dict[str, Any], override: str) -> None:
    """`20_prune_sweep.pruning_ratios=[0.5]` or `shared.seed=1`."""
    place, sign, text = override.partition("=")
    section, dot, name = place.partition(".")
    if not (sign and dot):
        raise BadInput(f"--set {override}: write notebook.parameter=value, or shared.parameter=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise BadInput(f"--set {override}: {text!r} is not a YAML value") from None
    target = preset["shared"] if section == "shared" else preset["notebooks"].setdefault(section, {})
    if section != "shared":
        params.notebook_defaults(section)
        for point in preset["points"]:
            point.get("params", {}).pop(name, None)
    target[name] = value


def plan(preset: dict[str, Any], run: str, only: list[str] | None = None) -> list[Execution]:
    """Every execution with its parameters, all checked: baselines first, then each notebook, then those that run once.

    Order of precedence: the notebook's cell < shared < notebooks < point. Raises BadInput, before anything is started.
    """
    where = str(preset["path"])
    for stem in only or []:
        params.notebook_defaults(stem)
    per_point = [stem for stem in preset["notebooks"] if stem not in preset["once"]]
    seeds = preset["seeds"] if preset["seeds"] is not None else [preset["shared"].get("seed", 0)]
    _check_names(preset, where)
    found = []
    for stem in sorted(per_point):
        for point in preset["points"]:
            if stem in point.get("only", per_point) and stem not in point.get("skip", []):
                found += [_execution(preset, stem, point, seed, run, where) for seed in seeds]
    found += [_execution(preset, stem, {}, None, run, where) for stem in preset["once"]]
    if len({execution.name for execution in found}) < len(found):
        raise BadInput(f"{where}: two points have the same task, model and seed; each execution needs its own name")
    chosen = [execution for execution in found if not only or execution.notebook in only]
    if not chosen:
        raise BadInput(f"{where}: nothing to run; it names {', '.join(sorted({e.notebook for e in found})) or 'no notebook'}")
    return chosen


def _check_names(preset: dict[str, Any], where: str) -> None:
    """Every section's names exist, also where no notebook would use them."""
    params.check(preset["shared"], where=f"{where}: shared")
    for stem, own in preset["notebooks"].items():
        known = params.notebook_defaults(stem)
        if unknown := (own or {}).keys() - known:
            raise BadInput(
                f"{where}: {stem}.{', '.join(sorted(unknown))} is not a parameter of that notebook; known: {', '.join(known)}"
            )
    for stem in preset["once"]:
        params.notebook_defaults(stem)
    for index, point in enumerate(preset["points"]):
        if not isinstance(point, dict) or not {"task", "model"} <= point.keys() <= {"task", "model", "only", "skip", "params"}:
            raise BadInput(f"{where}: points[{index}] = {point!r}: task and model are needed; only, skip and params are allowed")
        params.check(point.get("params", {}), where=f"{where}: points[{index}]")
        for stem in [*point.get("only", []), *point.get("skip", [])]:
            params.notebook_defaults(stem)
            if stem not in preset["notebooks"]:
                raise BadInput(f"{where}: points[{index}] names {stem}, which is not under notebooks")


def _execution(preset: dict, stem: str, point: dict, seed: int | None, run: str, where: str) -> Execution:
    defaults = params.notebook_defaults(stem)
    own = {"task": point.get("task"), "model": point.get("model"), "seed": seed, "run": run}
    layers = [preset["shared"], preset["notebooks"].get(stem) or {}, point.get("params", {}), own]
    values = dict(defaults)
    for layer in layers:
        values |= {name: value for name, value in layer.items() if name in defaults and value is not None}
    params.check(values, where=f"{where}: {stem}")
    return Execution(stem, execution_name(stem, values), values)


def check_data(executions: list[Execution]) -> None:
    """Load every data set and build every network once: what does not go together is said before anything starts."""
    from edgebook.models import build_model
    from edgebook.tasks import load_task

    tasks = {name: load_task(name) for name in dict.fromkeys(e.params["task"] for e in executions if "task" in e.params)}
    for execution in executions:
        p = execution.params
        for model, shape in (("model", "model_shape"), ("student", "student_shape")):
            if "task" in p and model in p:
                task = tasks[p["task"]]
                try:
                    build_model(p[model], task.input_shape, task.n_outputs, **p.get(shape, {}))
                except BadInput as error:
                    raise BadInput(f"{execution.name}: {error}") from None
