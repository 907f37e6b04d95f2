"""What a network's files cost before it is trained: bytes, working memory, latency, and what a runtime refuses."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgebook import rows
from edgebook.errors import Unsupported
from edgebook.files import scratch
from edgebook.measure import columns, machine
from edgebook.measure.cores import CORE, core_columns
from edgebook.measure.latency import latency_columns
from edgebook.measure.session import measure_files, median_ms
from edgebook.models.batch_norm import has_batch_norm
from edgebook.models.macs import count_macs, count_params
from edgebook.naming import short_id
from edgebook.runtimes.base import RUNTIMES, Artifact, Quant, missing, runtime
from edgebook.runtimes.export import export
from edgebook.runtimes.refused_layers import refused_layers
from edgebook.tasks.task import Task
from edgebook.training.batch_norm_statistics import reestimate_batch_norm
from edgebook.training.loop import seed_all

Row = dict[str, Any]
PRECISIONS = ("fp32", "int8-static")
N_CALIBRATION = 16  # items: the ranges of a network that is not trained mean nothing
SECONDS = 0.2  # of timing per file
SPREAD = 0.05  # of biases and of batch norm's parameters, so that no two are equal, as after training


def untrained(model: nn.Module, task: Task, *, seed: int = 0) -> nn.Module:
    """A copy of a new network whose files are as large as after training.

    Equal constants are stored once in a file, so biases and the parameters of batch norm, which begin as zeros and ones, get
    small random parts, and batch norm the statistics of training items.
    """
    net = copy.deepcopy(model).eval()
    seed_all(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim == 1:
                parameter += SPREAD * torch.randn_like(parameter)
    return reestimate_batch_norm(net, task, n_items=64) if has_batch_norm(net) else net


def file_cost(
    model: nn.Module, task: Task, *, runtime: str, precision: str = "int8-static", core: str | None = None
) -> dict[str, float]:
    """A file's `size_bytes`, and where the runtime plans or estimates them `arena_bytes` and `latency_ms_est`.

    core: of a microcontroller; then also `flash_bytes` (with the code) and `ram_bytes` (with the stack) as counted on it.
    Raises Unsupported where the runtime cannot have the file, or the core has no room for it.
    """
    with scratch() as folder:
        artifact = export(model, task, folder / "net", runtime=runtime, quant=quant_of(precision))
        return cost_of_file(artifact, task, core=core)


def cost_of_file(artifact: Artifact, task: Task, *, core: str | None = None) -> dict[str, float]:
    """The same of a file that is there."""
    known = {"size_bytes": artifact.size_bytes, **artifact.columns}
    figures = {name: known[name] for name in ("size_bytes", "arena_bytes", "latency_ms_est") if known.get(name) is not None}
    if core is not None:
        counted = core_columns(artifact, task, core)
        if "instructions" not in counted:
            extra = counted.get("extra", {})
            raise Unsupported(counted.get("error") or extra["not_counted"], code=extra.get("unsupported", "other"))
        figures |= {"flash_bytes": counted["flash_bytes"], "ram_bytes": counted["ram_bytes"] + counted["stack_bytes"]}
    return {name: float(value) for name, value in figures.items()}


def quant_of(precision: str) -> Quant | None:
    """How the numbers of a file in this format are made, before training: None for float ones."""
    return None if precision == "fp32" else Quant(precision, n_calibration=N_CALIBRATION)


def profile(
    model: nn.Module,
    task: Task,
    *,
    runtimes: Sequence[str] | None = None,
    precisions: Sequence[str] = PRECISIONS,
    cores: Sequence[str] = (CORE,),
    seconds: float = 0.1,
) -> list[Row]:
    """Rows, without scores, of the files of a network that need not be trained; one per runtime and precision that it has, and
    per core where files are counted on one.

    runtimes: all that ship when None; one that is absent is a row with the reason. seconds: of timing per file, where its
    time on this machine means something. A row of a refused network has `extra.layers`: those with the operator that lacks.
    """
    net = untrained(model, task)
    names = runtimes or [name for name, record in RUNTIMES.items() if record.ships and name != "packed"]
    counts = {"n_params": count_params(net), "macs": count_macs(net, task.input_shape)}
    with scratch() as folder:
        found, files = [], dict[str, Artifact]()
        for name in names:
            for precision in [each for each in precisions if each in runtime(name).precisions]:
                row, artifact = _row(net, task, name, precision, folder)
                if artifact is not None:
                    files[row["row_id"]] = artifact
                on_cores = artifact is not None and runtime(name).on_cores
                parts = [core_columns(artifact, task, core) for core in cores] if on_cores else [{}]
                found += [rows.join(row, counts, part) for part in parts]
        timed = _timed(files, seconds)
    return [rows.build(row, timed.get(row["row_id"], {})) for row in found]


def latencies(
    models: Sequence[nn.Module],
    task: Task,
    *,
    runtime: str,
    precision: str = "int8-static",
    threads: int = 1,
) -> list[float]:
    """Median milliseconds of each network's file, all timed in turn in one session; disturbed blocks are left out.

    Raises Unsupported where the runtime cannot have a file, RuntimeError when one cannot be timed.
    """
    with scratch() as folder:
        drafts = [folder / str(number) for number in range(len(models))]
        quant = quant_of(precision)
        files = [export(net, task, path, runtime=runtime, quant=quant) for net, path in zip(models, drafts, strict=True)]
        return median_ms(files, seconds=SECONDS, threads=threads, who="layer times")


def _row(model: nn.Module, task: Task, name: str, precision: str, folder: Path) -> tuple[Row, Artifact | None]:
    """The columns of one file, and the file where there is one."""
    row: Row = {"row_id": short_id(name, precision), "task": task.name, "runtime": name, "precision": precision, "device": "host"}
    if reason := missing(name):
        return row | {"status": "skipped", "error": reason}, None
    started = time.perf_counter()
    try:
        artifact = export(model, task, folder / row["row_id"], runtime=name, quant=quant_of(precision))
    except Unsupported as refusal:
        layers = refused_layers(model, task.x_train, refusal.operator) if refusal.operator else []
        return rows.join(row, columns.failure_columns(refusal), {"extra": {"layers": layers}}), None
    except Exception as error:  # one file that cannot be made is a row, the others are made
        return rows.join(row, columns.failure_columns(error)), None
    seconds = {"duration_s": time.perf_counter() - started}
    return rows.join(row, columns.file_columns(artifact), seconds), artifact


def _timed(files: dict[str, Artifact], seconds: float) -> dict[str, Row]:
    """Row -> latency and memory of its process, of the files whose time on this machine means something."""
    timed = {key: artifact for key, artifact in files.items() if seconds and runtime(artifact.runtime).has_latency}
    results = measure_files(list(timed.values()), {}, seconds=seconds, who="profile")
    known = {}
    for key, result in zip(timed, results, strict=True):
        failed = {"status": "failed", "error": result.error} if result.error else {}
        known[key] = rows.join({"rss_bytes": result.rss_bytes, "device": machine.host()}, latency_columns(result), failed)
    return known
