"""What a notebook calls: `start` checks its parameters, `baseline` and `version` make what `sweep.measure` measures."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgebook import parameters
from edgebook.errors import BadInput, Unsupported, one_line
from edgebook.models import allow_network, build_model
from edgebook.models.parametrizations import plain
from edgebook.models.weights_file import load_weights
from edgebook.naming import case_id, execution_name, is_path, model_label, short_id
from edgebook.paths import reports_dir
from edgebook.runtimes.base import Quant
from edgebook.tasks import load_task
from edgebook.tasks.task import Task
from edgebook.training.loop import evaluate, seed_all, train
from edgebook.training.network_check import check_network
from edgebook.training.recipe import Recipe, recipe_from
from edgebook.training.store import cached

OF_BASELINE = ("baseline", "finetune")  # stages that train the layers of the baseline


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
        self.network = plain(network)

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

    @property
    def case(self) -> str | None:
        """The identity of data and network; None for a notebook that only reads rows."""
        return case_id(self.params)

    def recipe(self, stage: str = "baseline") -> Recipe:
        """How a stage (baseline, teacher, finetune, distill, qat) is trained: `<stage>_recipe`, else as the baseline."""
        fixed = {"device": self["device"], "seed": self["seed"]}
        shared = {name: value for name, value in self["baseline_recipe"].items() if name != "weights"}
        if stage not in OF_BASELINE:
            shared.pop("frozen", None)  # names of layers that the stage's network need not have
        own = self[f"{stage}_recipe"] if stage != "baseline" else {}
        return recipe_from(own, defaults=shared, **fixed)


def start(stem: str, values: dict[str, Any]) -> Notebook:
    """Check a notebook's parameters (`values` is its `globals()`), load its data, set the threads. Raises BadInput."""
    params = {name: values[name] for name in parameters.notebook_defaults(stem)}
    parameters.check(params, where=f"{stem}.ipynb")
    for name in ("model", "student"):
        if is_path(params.get(name, "")):
            allow_network(params[name])
    torch.set_num_threads(params.get("train_threads", 1))
    task = load_task(params["task"]) if "task" in params else None
    for note in task.notes if task else ():
        print(f"{params['task']}: {note}", flush=True)
    return Notebook(stem, execution_name(stem, params), reports_dir() / params["run"], params, task)


def new_model(
    nb: Notebook, name: str | None = None, shape: dict[str, Any] | None = None, *, seed: int | None = None
) -> nn.Module:
    """A freshly initialised network: the notebook's own, with the weights that its recipe names, or the named one; the same for
    the same seed (None: the notebook's). It is called once: raises BadInput for a network that does not fit the task.
    """
    seed_all(nb["seed"] if seed is None else seed)
    arguments: dict[str, Any] = nb["model_shape"] if shape is None else shape
    model = build_model(name or nb["model"], nb.task.input_shape, nb.task.n_outputs, **arguments)
    model = model if name or shape is not None else started(model, nb.params, nb.task)
    check_network(model, nb.task)
    return model


def started(model: nn.Module, params: dict[str, Any], task: Task) -> nn.Module:
    """The model with the weights that `baseline_recipe` names, in place. Raises BadInput, also for a network of this project
    that is neither trained nor given weights.
    """
    recipe = params["baseline_recipe"]
    if recipe["epochs"] == 0 and not recipe.get("weights") and not is_path(params["model"]):
        raise BadInput("baseline_recipe.epochs = 0 without weights; allowed: 1 or more, or weights: a file")
    if recipe.get("weights"):
        new = load_weights(model, Path(recipe["weights"]), task.n_outputs)
        others = f", all but {' and '.join(new)}, which begin anew" if new else ""
        print(f"weights from {Path(recipe['weights']).name}{others}", flush=True)
    return model


def teachers(nb: Notebook) -> list[nn.Module]:
    """The networks of the larger teacher, one for each of `teacher_seeds`, found in the store or trained once: the baseline's
    architecture built with `teacher_shape`, trained by `teacher_recipe`.
    """
    networks = []
    for seed in nb["teacher_seeds"]:
        recipe = replace(nb.recipe("teacher"), seed=seed)
        networks.append(cached(train, new_model(nb, shape=nb["teacher_shape"], seed=seed), nb.task, recipe))
    return networks


def baseline(nb: Notebook) -> nn.Module:
    """The trained float baseline, found in the store or trained once; it becomes the first version of this execution.

    Raises BadInput with the reason when it cannot be trained.
    """
    asked = {"model_shape": nb["model_shape"], **nb["baseline_recipe"]}
    if asked.get("weights"):
        asked["weights"] = Path(asked["weights"]).name
    with version(nb, "baseline", label="baseline", family="baseline", role="baseline", asked=asked) as made:
        made.model = cached(train, new_model(nb), nb.task, nb.recipe())
        made.model.history = made.model.history or [{"epoch": 0, "val_score": evaluate(made.model, nb.task)}]
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
    return short_id(nb.case, made.method, made.asked)
