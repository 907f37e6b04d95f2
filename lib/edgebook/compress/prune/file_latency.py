"""The latency of networks that are only candidates: their float files are exported, timed and thrown away."""

from __future__ import annotations

import copy
from pathlib import Path

from torch import nn

from edgebook import lock
from edgebook.compress.prune.dependency_groups import check_rounding
from edgebook.errors import BadInput
from edgebook.files import scratch
from edgebook.measure.session import median_ms
from edgebook.runtimes.base import RUNTIMES, Artifact, check, runtime
from edgebook.runtimes.exporter_tables import kept_tables
from edgebook.runtimes.quiet import quiet
from edgebook.tasks.task import Task

SECONDS = 0.2  # of timing per file


def file_latencies(
    models: list[nn.Module], task: Task, *, runtime_name: str, threads: int = 1, seconds: float = SECONDS
) -> list[float]:
    """Median milliseconds of each model's float file, all timed in turn in one session; disturbed blocks are left out.

    Raises Unsupported when the runtime is absent, RuntimeError when a file cannot be timed.
    """
    with scratch() as folder:
        files = [_export(model, task, runtime_name, folder / str(number)) for number, model in enumerate(models)]
        return median_ms(files, seconds=seconds, threads=threads, who="latency-aware pruning")


def check_latency_target(latency_ratio: float, runtime_name: str, round_to: int, scope: str = "uniform") -> None:
    """Raises BadInput for a ratio outside (0, 1), or for a runtime whose time on this machine means nothing."""
    check_rounding(round_to, scope)
    if not 0 < latency_ratio < 1:
        raise BadInput(f"latency_ratio = {latency_ratio}; allowed: 0 < ratio < 1")
    if not runtime(runtime_name).has_latency:
        timed = sorted(name for name, record in RUNTIMES.items() if record.has_latency)
        raise BadInput(f"runtime = {runtime_name!r} has no latency on this machine; allowed: {', '.join(timed)}")


def _export(model: nn.Module, task: Task, runtime_name: str, path: Path) -> Artifact:
    """A float file outside the store."""
    check(runtime_name, "fp32")
    record = runtime(runtime_name)
    path = path.with_name(path.name + record.extension)
    with lock.training(), quiet(), kept_tables():
        record.side("export").convert(copy.deepcopy(model).eval().requires_grad_(False), task.x_train[:1], path)
    return Artifact(path, runtime_name, "fp32")
