"""Before any kernel starts: every data set is loaded, and every network built and called once."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Protocol

from edgebook.errors import BadInput
from edgebook.experiment.notebook import started
from edgebook.models import allow_network, build_model
from edgebook.naming import is_path
from edgebook.tasks import load_task
from edgebook.training.network_check import check_network

NETWORKS = (("model", "model_shape"), ("student", "student_shape"))


class Planned(Protocol):
    """An execution: its name and its resolved parameters."""

    @property
    def name(self) -> str: ...

    @property
    def params(self) -> dict[str, Any]: ...


def data_fingerprints(tasks: list[str]) -> dict[str, str]:
    """Data set -> what its items are, the same on every machine that has the same."""
    return {name: load_task(name).fingerprint for name in tasks}


def check(executions: Iterable[Planned]) -> None:
    """Raises BadInput, with the execution's name, for data that cannot be loaded, or a network or weights that do not fit.

    The user's own networks are allowed to run, since the user has named them.
    """
    tasks: dict[str, Any] = {}
    checked: list[tuple] = []
    for execution in executions:
        params = execution.params
        for model, shape in NETWORKS if "task" in params else ():
            if model not in params:
                continue
            if params["task"] not in tasks:
                tasks[params["task"]] = task = load_task(params["task"])
                for note in task.notes:
                    print(f"edgebook: {params['task']}: {note}", file=sys.stderr, flush=True)
            if is_path(params[model]):
                allow_network(params[model])
            task, network = tasks[params["task"]], _identity(params, model, shape)
            if network in checked:
                continue
            checked.append(network)
            try:
                built = build_model(params[model], task.input_shape, task.n_outputs, **params.get(shape, {}))
                if model == "model" and "baseline_recipe" in params:
                    started(built, params, task)
                check_network(built, task)
            except BadInput as error:
                raise BadInput(f"{execution.name}: {error}") from None


def _identity(params: dict[str, Any], model: str, shape: str) -> tuple:
    """What a check depends on: data, network, shape and the recipe that names its weights."""
    return params["task"], params[model], params.get(shape, {}), params.get("baseline_recipe") if model == "model" else None
