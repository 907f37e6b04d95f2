"""The table of layer times of this machine: some nets of a search space are exported and timed once, and kept."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np

from edgebook.errors import BadInput
from edgebook.files import write_text
from edgebook.measure import machine
from edgebook.measure.latency_table import LatencyTable, fit, layers_of
from edgebook.measure.profile import latencies, untrained
from edgebook.models.genotype import Genotype
from edgebook.search.fitness import new_net
from edgebook.search.space import AnySpace
from edgebook.tasks.task import Task

FILE = "layer_times.json"


def layer_times(
    task: Task,
    space: AnySpace,
    folder: Path,
    *,
    n_nets: int,
    runtime: str = "litert",
    threads: int = 1,
) -> LatencyTable:
    """The table for int8 files of one runtime, fitted to `n_nets` random members; found in `folder` when it was made there
    with the same arguments on this machine.

    Its errors are those of predicting files that the fit has not seen. Raises BadInput for fewer nets than a fit needs.
    """
    lines = [str(genotype) for genotype in sampled(space, n_nets)]
    made_for = {"machine": machine.host(), "runtime": runtime, "threads": threads, "nets": lines}
    path = Path(folder) / FILE
    with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):  # absent, or damaged: measured again
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["made_for"] == made_for:
            return LatencyTable(**stored["table"])
    nets = [untrained(new_net(task, line), task) for line in lines]
    times = latencies(nets, task, runtime=runtime, threads=threads)
    table = fit([layers_of(net, task.input_shape) for net in nets], times)
    write_text(path, json.dumps({"made_for": made_for, "table": asdict(table)}, indent=1))
    return table


def sampled(space: AnySpace, n: int, seed: int = 0) -> list[Genotype]:
    """`n` different random members. Raises BadInput where the space seems to have fewer."""
    rng, members = np.random.default_rng(seed), dict[Genotype, None]()
    for _ in range(100 * n):
        if len(members) == n:
            break
        members.setdefault(space.decode(space.sample(rng)))
    if len(members) < n:
        raise BadInput(f"search space: {len(members)} different members, {n} are needed for the table of layer times")
    return list(members)
