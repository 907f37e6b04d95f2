"""What a notebook calls: `start` checks its parameters, `baseline` and `version` make what `sweep.measure` measures."""

from __future__ import annotations

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

from edgebook import parameters
from edgebook.errors import BadInput, Unsupported, one_line
from edgebook.models import allow_network, build_model
from edgebook.naming import execution_name, is_path, model_label, short_id
from edgebook.paths import reports_dir
from edgebook.runtimes.base import Quant
from edgebook.tasks import load_task
from edgebook.tasks.task import Task
from edgebook.training.loop import seed_all, train
from edgebook.training.recipe import Recipe, recipe_from
from edgebook.training.store import cached


class Skipped(RuntimeError):
    """A version was asked for the network of another one that failed."""


@dataclass
class Version:
    """One thing to measure: a network and, for integer files, how its numbers are made.

    role, family: see `vocabulary`. asked: the settings, the same for every seed. quants: None is the network as it is.
    runtimes: those of the notebook when None.
    """

    method: str
    label: str
    family: str
    role: str = "version"
    asked: dict[str, Any] = field(default_factory=dict)
    quants: list[Quant | None] = field(default_factory=lambda: [None])
    runtimes: list[str] | None = None
    parent_row: str | None = None
    status: str = "ok"
    error: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    started_at: str = ""
    duration_s: float = 0.0
    network: nn.Module | None = None

    @property
    def model(self) -> nn.Module:
        """The network. Raises Skipped when this version failed, so that what is made from it is skipped with the reason."""
        if self.network is None:
            raise Skipped(f"it is made from '{self.label}', which {self.status}: {self.error or 'no network was made'}")
        return self.network

    @model.setter
    def model(self, network: nn.Module) -> None:
        self.network = network

    def fail(self, error: BaseException) -> None:
        """Keep the reason instead of a network."""
        self.network = None
        self.status = {Skipped: "skipped", Unsupported: "unsupported"}.get(type(error), "failed")
        self.error = one_line(error) if self.status != "skipped" else str(error)
        if isinstance(error, Unsupported):
            self.extra["unsupported"] = error.code


@dataclass(frozen=True)
class Notebook:
    """One execution of a notebook: its checked parameters, its data, and the versions made so far."""

    stem: str
    execution: str
    run_dir: Path
    params: dict[str, Any]
    data: Task | None
    versions: list[Version] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        return self.params[name]

    @property
    def task(self) -> Task:
        """The notebook's data. Raises BadInput for a notebook that only reads rows."""
        if self.data is None:
            raise BadInput(f"{self.stem} reads rows only: it has no task")
        return self.data

    @property
    def model_label(self) -> str:
        """The network's name for people: `resnet8`, or `net:build` for one of the user's own."""
        return model_label(self["model"])

    def recipe(self, stage: str = "baseline") -> Recipe:
        """How a stage (baseline, finetune, distill, qat) is trained: the fields of `<stage>_recipe`, the baseline's elsewhere."""
        fixed = {"device": self["device"], "seed": self["seed"]}
        return recipe_from(self[f"{stage}_recipe"], defaults=self["baseline_recipe"], **fixed)


def start(stem: str, values: dict[str, Any]) -> Notebook:
    """Check a notebook's parameters (`values` is its `globals()`), load its data, set the threads. Raises BadInput."""
    params = {name: values[name] for name in parameters.notebook_defaults(stem)}
    parameters.check(params, where=f"{stem}.ipynb")
    for name in ("model", "student"):
        if is_path(params.get(name, "")):
            allow_network(params[name])
    torch.set_num_threads(params.get("train_threads", 1))
    task = load_task(params["task"]) if "task" in params else None
    return Notebook(stem, execution_name(stem, params), reports_dir() / params["run"], params, task)


def new_model(nb: Notebook, name: str | None = None, shape: dict[str, Any] | None = None) -> nn.Module:
    """A freshly initialised network: the notebook's own, or the named one; the same for the same seed."""
    seed_all(nb["seed"])
    arguments: dict[str, Any] = nb["model_shape"] if shape is None else shape
    return build_model(name or nb["model"], nb.task.input_shape, nb.task.n_outputs, **arguments)


def baseline(nb: Notebook) -> nn.Module:
    """The trained float baseline, found in the store or trained once; it becomes the first version of this execution.

    Raises BadInput with the reason when it cannot be trained.
    """
    asked = {"model_shape": nb["model_shape"], **nb["baseline_recipe"]}
    with version(nb, "baseline", label="baseline", family="baseline", role="baseline", asked=asked) as made:
        made.model = cached(train, new_model(nb), nb.task, nb.recipe())
    if made.error:
        raise BadInput(f"the baseline could not be trained: {made.error}")
    return made.model


@contextmanager
def version(
    nb: Notebook,
    method: str,
    *,
    label: str,
    family: str,
    role: str = "version",
    asked: dict[str, Any] | None = None,
    quants: list[Quant | None] | None = None,
    runtimes: list[str] | None = None,
    parent_row: str | None = None,
) -> Iterator[Version]:
    """One version: set its `model` inside. What goes wrong there becomes a row with its reason, and the sweep goes on."""
    made = Version(method, label, family, role, asked or {}, quants or [None], runtimes, parent_row)
    made.started_at, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter()
    nb.versions.append(made)
    try:
        yield made
        _ = made.model  # a block that made nothing is a failure too
    except Exception as error:  # any failure of a version is a row, not the end of the sweep
        made.fail(error)
        if not isinstance(error, BadInput | Unsupported | Skipped):
            traceback.print_exc()
    made.duration_s = time.perf_counter() - clock
    print(f"{label}: {made.error or f'made in {made.duration_s:.1f} s'}", flush=True)


def point_id(nb: Notebook, made: Version) -> str:
    """The same for the same settings, whatever the seed."""
    return short_id(nb["task"], nb["model"], made.method, made.asked)
