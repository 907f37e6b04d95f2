"""A preset: its sections, read and checked, with what the command line changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgebook import parameters, paths, yaml_file
from edgebook.errors import BadInput
from edgebook.parameter_types import Positive, check_type
from edgebook.parameters import PARAMS
from edgebook.runner.grid import ELSEWHERE, Grid, read_grid
from edgebook.runner.limits import NO_LIMITS, Limits

Values = dict[str, Any]
SET_ELSEWHERE = ELSEWHERE | {"seed": "shared.seed or seeds"}
SECTIONS = {"shared": dict, "points": list, "notebooks": dict, "once": list, "seeds": list, "grid": dict, "limits": dict}
LIMITS = {"seconds": Positive, "memory_gb": Positive}
TYPES = {dict: "a mapping", list: "a list", str: "a text"}


@dataclass(frozen=True)
class Point:
    """One data set with one network, and the notebooks that are executed for it."""

    task: str
    model: str
    only: tuple[str, ...] | None = None  # None: all that run per point
    skip: tuple[str, ...] = ()
    params: Values = field(default_factory=dict)

    def has(self, notebook: str) -> bool:
        """Whether a notebook that runs per point is executed for this one."""
        return (self.only is None or notebook in self.only) and notebook not in self.skip


@dataclass(frozen=True)
class Preset:
    """A preset file. overrides: section -> parameters, from the command line; they win over everything else.

    grid: section -> parameter, or recipe.field -> its values. Every combination of them is an execution of its own.
    """

    path: Path
    shared: Values
    points: tuple[Point, ...]
    notebooks: dict[str, Values]
    once: tuple[str, ...]
    seeds: tuple[int, ...]
    overrides: dict[str, Values]
    grid: Grid = field(default_factory=dict)
    limits: Limits = NO_LIMITS


def read_preset(path: Path | str, overrides: list[str] | None = None) -> Preset:
    """The preset in a file, or the one of that name in params/. `overrides`: texts as `--set` takes them.

    Raises BadInput, one line that names the file, the section, the value and what is allowed.
    """
    path = _find(Path(path).expanduser())
    content = yaml_file.read(path)
    if unknown := content.keys() - SECTIONS.keys():
        raise BadInput(f"{path}: {', '.join(sorted(unknown))} is unknown; allowed: {', '.join(SECTIONS)}")
    for name, type_ in SECTIONS.items():
        _check_type(content.get(name, type_()), type_, f"{path}: {name}")
    overrides = [text for text in overrides or [] if not _set_in(content, text)]
    changes: dict[str, Values] = {}
    seeds = content.get("seeds")
    for text in overrides:
        section, values = _override(text, content)
        if section == "seeds":
            seeds = values["seeds"]
        else:
            changes[section] = merged(changes.get(section, {}), values)
    shared = content.get("shared", {})
    notebooks = {stem: _section(values, f"{path}: {stem}", stem) for stem, values in content.get("notebooks", {}).items()}
    _check_values(shared, f"{path}: shared")
    points = [_point(entry, f"{path}: points[{n}]", notebooks) for n, entry in enumerate(content.get("points", []))]
    once = _texts(content.get("once", []), f"{path}: once")
    seeds = _seeds(path, seeds, shared, changes)
    grid = read_grid(content.get("grid", {}), f"{path}: grid", notebooks)
    check_type("limits", LIMITS, content.get("limits", {}), str(path))
    return Preset(path, shared, tuple(points), notebooks, once, seeds, changes, grid, Limits(**content.get("limits", {})))


def merged(values: Values, later: Values) -> Values:
    """`values` with a later layer over them: it replaces whole values, of a recipe only the fields that it names."""
    result = dict(values)
    for name, value in later.items():
        both = PARAMS[name].merges and isinstance(value, dict) and isinstance(values.get(name), dict)
        result[name] = {**values[name], **value} if both else value
    return result


def _find(path: Path) -> Path:
    """The file itself, or `params/<name>.yaml` for a bare name."""
    if path.exists() or path.suffix == ".yaml":
        return path
    named = paths.PRESETS / f"{path.name}.yaml"
    if path.name != str(path) or not named.exists():
        known = ", ".join(sorted(preset.stem for preset in paths.PRESETS.glob("*.yaml")))
        raise BadInput(f"preset {str(path)!r} is unknown; allowed: {known}, or a .yaml file")
    return named


def _set_in(content: dict[str, Any], text: str) -> bool:
    """Set `grid.section.parameter=[...]` or `limits.seconds=...` in the preset's content; whether the text is one of these."""
    place, sign, value_text = text.partition("=")
    section, *names = place.strip().split(".", 2)
    if not sign or section not in ("grid", "limits") or len(names) != (2 if section == "grid" else 1):
        return False
    inner = content.setdefault(section, {})
    if section == "grid":
        inner = _check_type(inner.setdefault(names[0], {}), dict, f"--set {text}: grid: {names[0]}")
    inner[names[-1]] = _value(text, value_text)
    return True


def _value(text: str, value_text: str) -> Any:
    try:
        return yaml_file.parse(value_text)
    except ValueError as error:
        raise BadInput(f"--set {text}: {value_text!r} is not YAML: {error}") from None


def _override(text: str, content: dict[str, Any]) -> tuple[str, Values]:
    """(section, values) of `section.parameter=value`, `section.recipe.field=value` or `seeds=[...]`."""
    place, sign, value_text = text.partition("=")
    section, *names = place.strip().split(".")
    if not sign or (not names and section != "seeds") or len(names) > 2 or not all([section, *names]):
        raise BadInput(f"--set {text}: write notebook.parameter=value, shared.parameter=value, or seeds=[0, 1]")
    value = _value(text, value_text)
    if not names:
        return section, {"seeds": value}
    where = f"--set {text}"
    if section != "shared" and section not in [*content.get("notebooks", {}), *content.get("once", [])]:
        parameters.notebook_defaults(section)
        raise BadInput(f"{where}: {section} is not in this preset")
    if len(names) == 2:
        if names[0] not in PARAMS or not PARAMS[names[0]].merges:
            raise BadInput(f"{where}: {names[0]} has no fields; give its whole value")
        value = {names[1]: value}
    values = {names[0]: value}
    return section, _section(values, where, section) if section != "shared" else _check_values(values, where)


def _section(values: Any, where: str, stem: str) -> Values:
    """The parameters of a notebook's section."""
    defaults = parameters.notebook_defaults(stem)
    values = _check_type({} if values is None else values, dict, where)
    if unknown := values.keys() - defaults.keys():
        names = ", ".join(sorted(unknown))
        raise BadInput(f"{where}: {names} is not a parameter of {stem}; allowed: {', '.join(defaults)}")
    if "seed" in values:
        raise BadInput(f"{where}: seed is set by {SET_ELSEWHERE['seed']}")
    return _check_values(values, where)


def _check_values(values: Values, where: str) -> Values:
    """The values themselves. Raises BadInput for one that is unknown, out of range, or set elsewhere."""
    for name in values:
        if name in SET_ELSEWHERE and name != "seed":
            raise BadInput(f"{where}: {name} is set by {SET_ELSEWHERE[name]}")
    parameters.check(values, where=where)
    return values


def _point(entry: Any, where: str, notebooks: dict[str, Values]) -> Point:
    allowed = ("task", "model", "only", "skip", "params")
    if not isinstance(entry, dict) or not {"task", "model"} <= entry.keys() <= set(allowed):
        raise BadInput(f"{where} = {entry!r}: task and model are needed; only, skip and params are allowed")
    task, model = (_check_type(entry[name], str, f"{where}: {name}") for name in ("task", "model"))
    only = _texts(entry["only"], f"{where}: only") if "only" in entry else None
    skip = _texts(entry.get("skip", []), f"{where}: skip")
    for stem in [*(only or ()), *skip]:
        parameters.notebook_defaults(stem)
        if stem not in notebooks:
            raise BadInput(f"{where} names {stem}, which is not under notebooks")
    params = _check_type(entry.get("params", {}), dict, f"{where}: params")
    if "seed" in params:
        raise BadInput(f"{where}: seed is set by {SET_ELSEWHERE['seed']}")
    return Point(task, model, only, skip, _check_values(params, f"{where}: params"))


def _seeds(path: Path, seeds: Any, shared: Values, changes: dict[str, Values]) -> tuple[int, ...]:
    """The seeds of every point: those listed, else the shared one."""
    single = {**shared, **changes.get("shared", {})}
    if seeds is None:
        return (single.get("seed", 0),)
    if "seed" in single:
        raise BadInput(f"{path}: seed and seeds are both given: leave one out")
    for seed in _check_type(seeds, list, f"{path}: seeds"):
        parameters.check({"seed": seed}, where=f"{path}: seeds")
    if not seeds or len(set(seeds)) < len(seeds):
        raise BadInput(f"{path}: seeds = {seeds}: different whole numbers are needed, at least one")
    return tuple(seeds)


def _check_type(value: Any, type_: type, where: str) -> Any:
    if not isinstance(value, type_):
        raise BadInput(f"{where} = {value!r:.80}: {TYPES[type_]} is needed")
    return value


def _texts(value: Any, where: str) -> tuple[str, ...]:
    texts = _check_type(value, list, where)
    for text in texts:
        _check_type(text, str, where)
    if len(set(texts)) < len(texts):
        raise BadInput(f"{where} = {texts!r:.80}: a name is given twice")
    return tuple(texts)
