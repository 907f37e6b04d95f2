"""Before any kernel starts: every data set is loaded and every network built once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from edgebook.errors import BadInput
from edgebook.models import allow_network, build_model
from edgebook.naming import is_path
from edgebook.tasks import load_task

NETWORKS = (("model", "model_shape"), ("student", "student_shape"))


class Planned(Protocol):
    """An execution: its name and its resolved parameters."""

    @property
    def name(self) -> str: ...

    @property
    def params(self) -> dict[str, Any]: ...


def check(executions: Iterable[Planned]) -> None:
    """Raises BadInput, with the execution's name, for data that cannot be loaded or a network that does not fit them.

    The user's own networks are allowed to run, since the user has named them.
    """
    tasks: dict[str, Any] = {}
    for execution in executions:
        params = execution.params
        for model, shape in NETWORKS if "task" in params else ():
            if model not in params:
                continue
            if params["task"] not in tasks:
                tasks[params["task"]] = load_task(params["task"])
            if is_path(params[model]):
                allow_network(params[model])
            task = tasks[params["task"]]
            try:
                build_model(params[model], task.input_shape, task.n_outputs, **params.get(shape, {}))
            except BadInput as error:
                raise BadInput(f"{execution.name}: {error}") from None
