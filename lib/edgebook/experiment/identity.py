"""What a row is called and where it belongs, before its file is made."""

from __future__ import annotations

from typing import Any

from edgebook.experiment.notebook import Notebook, point_id
from edgebook.experiment.targets import Target
from edgebook.measure import machine
from edgebook.models.fake_quantized import FakeQuantized
from edgebook.naming import grid_label, short_id
from edgebook.rows import Row
from edgebook.runtimes.base import describe, runtime


def identity(nb: Notebook, target: Target) -> Row:
    """Who and what, as columns: everything that is known before the file is made."""
    made, quant = target.version, target.quant
    numbers = quant.precision if quant else "int8-static" if isinstance(made.network, FakeQuantized) else "fp32"
    grid = {} if target.is_baseline else nb.params.get("grid_values", {})  # the float baseline is that of every execution
    asked = grid | ({name: value for name, value in describe(quant).items() if value not in (None, ())} if quant else {})
    role, family = _role(target)
    steps = [step for step in (made.method if made.method != "baseline" else "", numbers if quant else "") if step]
    point = short_id(point_id(nb, made), {**made.asked, **asked})
    return {
        "run": nb["run"],
        "notebook": nb.stem,
        "execution": nb.execution,
        "point_id": point,
        "row_id": short_id(point, numbers, *_setting(nb, target)),
        "parent_id": made.parent_row,
        "task": nb["task"] if nb.data is None else nb.task.name,
        "model": nb.model_label,
        "case": nb.case,
        "role": role,
        "family": family,
        "method": "+".join(steps) or "baseline",
        "label": ", ".join(filter(None, (made.label, grid_label(grid)))),
        "seed": nb["seed"],
        "asked": made.asked | asked,
        "runtime": target.runtime,
        "precision": numbers,
        **({"device": target.core} if target.core else {}),
        "threads": nb["threads"],
        "batch_size": target.batch_size,
        "commit": machine.commit(),
        "started_at": made.started_at,
        "duration_s": made.duration_s,
        "size_packed_bytes": made.extra.get("size_packed_bytes"),
        "extra": {name: value for name, value in made.extra.items() if name != "size_packed_bytes"},
    }


def _setting(nb: Notebook, target: Target) -> list[Any]:
    """What makes a row of its own out of a point and a number format."""
    made, core = target.version, [target.core] if target.core else []
    return [nb.execution, target.runtime, nb["threads"], target.batch_size, made.label, made.role, nb["seed"], *core]


def _role(target: Target) -> tuple[str, str]:
    """(role, family) of a file."""
    role, family = target.version.role, target.version.family
    if role == "baseline" and target.quant:  # the same network with other numbers is a version of it
        role, family = "version", "quantize"
    return role if runtime(target.runtime).ships else "reference", family
