"""What a notebook calls: `start` checks its parameters, `baseline` and `attempt` make the points to measure."""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgebook import parameters as params
from edgebook import rows
from edgebook.errors import BadInput, Unsupported
from edgebook.models import build_model
from edgebook.paths import reports_dir
from edgebook.runtimes import Quant
from edgebook.tasks import Task, load_task
from edgebook.training.loop import seed_all, train
from edgebook.training.store import cached


@dataclass
class Point:
    """One thing to measure: a model and, for integer files, how its numbers are made."""

    method: str
    family: str
    label: str
    asked: dict[str, Any]
    quants: list[Quant | None]
    model: nn.Module | None = None
    parent: str | None = None
    runtimes: list[str] | None = None  # these; None: those that the notebook asks for
    error: str | None = None
    status: str = "failed"  # what its rows say when there is an error
    started_at: str = ""
    duration_s: float = 0.0
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Lab:
    """One execution of a notebook: its checked parameters, its data, and the points made so far."""

    notebook: str
    execution: str
    run_dir: Path
    params: dict[str, Any]
    task: Task | None
    points: list[Point] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        return self.params[name]


def execution_name(notebook: str, values: dict[str, Any]) -> str:
    """`20_prune_sweep--mnist1d-conv1d--s0`; a notebook without a task is its own name."""
    if "task" not in values:
        return notebook
    short = [Path(str(values[key]).split(":")[-1]).stem for key in ("task", "model")]
    return f"{notebook}--{'-'.join(short)}--s{values['seed']}"


def start(notebook: str, values: dict[str, Any]) -> Lab:
    """Check a notebook's parameters (`values` is its `globals()`), load its data, set the threads. Raises BadInput."""
    own = {name: values[name] for name in params.notebook_defaults(notebook)}
    params.check(own, where=f"{notebook}.ipynb")
    name = execution_name(notebook, own)
    folder = reports_dir() / own["run"]
    torch.set_num_threads(own.get("train_threads", 1))
    task = load_task(own["task"]) if "task" in own else None
    shutil.rmtree(folder / "artifacts" / name, ignore_errors=True)
    return Lab(notebook, name, folder, own, task)


def recipe(lab: Lab, stage: str) -> dict[str, Any]:
    """Arguments of `train` for a stage (baseline, finetune, distill): its own schedule, and augmentation where it has a say
    in that, the baseline's everything else."""
    p = lab.params
    augment = p.get(f"{stage}_augment")
    return {
        "epochs": p[f"{stage}_epochs"],
        "lr": p.get(f"{stage}_lr", p["baseline_lr"]),
        "batch_size": p["baseline_batch_size"],
        "optimizer": p["baseline_optimizer"],
        "weight_decay": p["baseline_weight_decay"],
        "label_smoothing": p["baseline_label_smoothing"],
        "augment": p["baseline_augment"] if augment is None else augment,
        "dtype": p["baseline_dtype"],
        "device": p["device"],
        "seed": p["seed"],
    }


def new_model(lab: Lab, name: str | None = None, shape: dict[str, Any] | None = None) -> nn.Module:
    """A freshly initialised net: the notebook's own, or the named one; the same for the same seed."""
    seed_all(lab["seed"])
    name, shape = name or lab["model"], lab["model_shape"] if shape is None else shape
    return build_model(name, lab.task.input_shape, lab.task.n_outputs, **shape)


def baseline(lab: Lab) -> nn.Module:
    """The trained float baseline, found in the store or trained once; it becomes the first point of this execution."""
    asked = {"model_shape": lab["model_shape"], **recipe(lab, "baseline")}
    del asked["seed"], asked["device"]
    with attempt(lab, method="baseline", family="baseline", label=f"{lab['model']} baseline", asked=asked) as point:
        point.model = cached(train, new_model(lab), lab.task, **recipe(lab, "baseline"))
    if point.error:
        raise BadInput(f"the baseline could not be trained: {point.error}")
    return point.model


@contextmanager
def attempt(
    lab: Lab, *, method: str, family: str, label: str, asked: dict[str, Any], quants: list[Quant | None] | None = None,
    parent: str | None = None, runtimes: list[str] | None = None,
) -> Iterator[Point]:  # fmt: skip
    """One point: set `point.model` inside. What goes wrong there becomes a row with its reason, and the sweep goes on."""
    point = Point(method, family, label, asked, quants or [None], parent=parent, runtimes=runtimes)
    point.started_at, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter()
    lab.points.append(point)
    try:
        yield point
    except Exception as error:  # any failure of a point is a row, not the end of the sweep
        point.error = one_line(error)
        point.status = "unsupported" if isinstance(error, Unsupported) else "failed"
        if not isinstance(error, BadInput | Unsupported):
            traceback.print_exc()
    point.duration_s = time.perf_counter() - clock
    print(f"{label}: {point.error or f'made in {point.duration_s:.1f} s'}", flush=True)


def one_line(error: BaseException) -> str:
    """An exception as a reader wants it: its first line, with the type where the message alone says little."""
    words = str(error).strip().splitlines()
    first = words[0][:300] if words else ""
    return first if isinstance(error, BadInput | Unsupported | RuntimeError) and first else f"{type(error).__name__}: {first}"


def point_id(lab: Lab, point: Point) -> str:
    """The same for the same settings, whatever the seed."""
    return rows.short_id(lab["task"], lab["model"], point.method, point.asked)
