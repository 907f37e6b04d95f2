"""What a search evaluates: a short training on part of the data, and what the network's file costs."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from torch import nn

from edgebook.errors import BadInput
from edgebook.measure.latency_table import LatencyTable, layers_of, predict
from edgebook.measure.profile import file_cost, untrained
from edgebook.models import build_model
from edgebook.models.genotype import Genotype
from edgebook.models.macs import count_macs, count_params
from edgebook.registry import pick
from edgebook.search import COSTS
from edgebook.search.history import meets
from edgebook.search.space import AnySpace
from edgebook.tasks.task import Task, draw_items
from edgebook.training.loop import evaluate, seed_all, train
from edgebook.training.recipe import Recipe

Figures = dict[str, float]
Cost = Callable[[nn.Module, Task], float]


def part_of(task: Task, n_items: int, *, seed: int = 0) -> Task:
    """The task with `n_items` of its training items, drawn by `seed`; all where it has fewer. Validation and test stay."""
    if n_items >= len(task.x_train):
        return task
    items = draw_items(len(task.x_train), n_items, seed)
    return replace(task, x_train=task.x_train[items], y_train=task.y_train[items])


def new_net(task: Task, genotype: Genotype | str, *, seed: int | None = None) -> nn.Module:
    """The untrained net of a genotype; its weights are drawn by `seed`, or by the genotype's line."""
    seed_all(zlib.crc32(str(genotype).encode()) if seed is None else seed)
    return build_model("searched", task.input_shape, task.n_outputs, genotype=str(genotype))


@dataclass(frozen=True)
class Basis:
    """What costs are counted with: the runtime of int8 files, and the table of layer times that `latency_ms_est` needs."""

    runtime: str = "tflm"
    table: LatencyTable | None = None


def has_searched(task: Task, space: AnySpace) -> bool:
    """Whether searched networks suit the task: they give one vector per item, and take images or sequences."""
    return task.kind.output_shape(task.input_shape, task.n_outputs) == (task.n_outputs,) and any(space.small_members())


def check_searchable(task: Task, space: AnySpace) -> None:
    """Raises BadInput for a task that no searched network suits."""
    if not has_searched(task, space):
        given = f"{task.kind_name} of items {task.input_shape}"
        raise BadInput(
            f"search: {task.name} is {given}, and searched networks give one vector for an image or a sequence; "
            "allowed: classification or regression of such items; 55_autotune shrinks the network that is given"
        )


def costs_of(names: Sequence[str], basis: Basis | None = None) -> dict[str, Cost]:
    """Cost -> its function (net, task). Raises BadInput for an unknown cost, and for a latency without a table."""
    basis = basis or Basis()
    if "latency_ms_est" in names and basis.table is None:
        raise BadInput("search: latency_ms_est needs a table of layer times; allowed: table_nets of at least 10")
    return {name: partial(pick(COSTS, name, "search cost"), basis=basis) for name in names}


def proxy(
    task: Task, recipe: Recipe, *, costs: dict[str, Cost], limits: dict[str, float] | None = None, n_items: int | None = None
) -> Callable[[Genotype], Figures]:
    """The evaluation of a genotype for `search`: `score` on validation after a short training, `train_s`, and every cost.

    n_items: of the training items, all when None. A net past a limit cannot ship and is not trained: its score is that of
    the untrained net. The training depends on the genotype only, so every method sees the same score; it is done once.
    """
    part = task if n_items is None else part_of(task, n_items)
    known: dict[str, Figures] = {}

    def evaluated(genotype: Genotype) -> Figures:
        line = str(genotype)
        if line not in known:
            known[line] = _evaluated(part, recipe, genotype, costs, limits or {})
        return known[line]

    return evaluated


def untrained_costs(task: Task, costs: dict[str, Cost]) -> Callable[[Genotype], Figures]:
    """The figures of a genotype that are known before it is trained, for `check_reachable`."""
    return lambda genotype: {name: cost(new_net(task, genotype), task) for name, cost in costs.items()}


def _evaluated(task: Task, recipe: Recipe, genotype: Genotype, costs: dict[str, Cost], limits: dict[str, float]) -> Figures:
    net = new_net(task, genotype)
    figures = {name: cost(net, task) for name, cost in costs.items()}
    started = time.perf_counter()
    if meets(figures, limits):
        net = train(net, task, replace(recipe, seed=zlib.crc32(str(genotype).encode())), keep="last")
    return figures | {"score": evaluate(net, task), "train_s": time.perf_counter() - started}


def n_params(net: nn.Module, task: Task, basis: Basis) -> float:
    """Parameters."""
    return float(count_params(net))


def macs(net: nn.Module, task: Task, basis: Basis) -> float:
    """Multiply-accumulates of one item."""
    return float(count_macs(net, task.input_shape))


def size_bytes(net: nn.Module, task: Task, basis: Basis) -> float:
    """Bytes of the net's int8 file."""
    return file_cost(untrained(net, task), task, runtime=basis.runtime)["size_bytes"]


def arena_bytes(net: nn.Module, task: Task, basis: Basis) -> float:
    """Working memory of the net's int8 file, as its runtime plans it."""
    return file_cost(untrained(net, task), task, runtime=basis.runtime)["arena_bytes"]


def latency_ms_est(net: nn.Module, task: Task, basis: Basis) -> float:
    """Milliseconds by the table of layer times."""
    if basis.table is None:
        raise BadInput("search: latency_ms_est needs a table of layer times")
    return predict(basis.table, layers_of(net, task.input_shape))
