"""The files of one execution: export every version, one measuring session, one row per file."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from edgebook import rows
from edgebook.errors import Unsupported, one_line
from edgebook.experiment import files
from edgebook.experiment.notebook import Notebook, Version, point_id
from edgebook.measure import columns, machine
from edgebook.measure.flags import flags
from edgebook.measure.session import Measured, measure_files
from edgebook.models.fake_quantized import FakeQuantized
from edgebook.models.macs import count_macs, count_params
from edgebook.naming import short_id
from edgebook.runtimes.base import Artifact, Quant, describe, runtime
from edgebook.runtimes.export import export
from edgebook.training.loop import infer

FAITHFUL = 0.98  # a file that answers otherwise more often is not the network that it was made from
Row = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """What is asked of one file."""

    version: Version
    runtime: str
    quant: Quant | None
    batch_size: int

    @property
    def setting(self) -> tuple[str, int]:
        """What two files share that are compared with each other."""
        return self.runtime, self.batch_size

    @property
    def is_baseline(self) -> bool:
        return self.version.role == "baseline" and self.quant is None


@dataclass(frozen=True)
class Exported:
    """A target, what is known of it before measuring, and its file when it could be made."""

    target: Target
    columns: Row
    artifact: Artifact | None

    @property
    def row_id(self) -> str:
        return self.columns["row_id"]


def measure(nb: Notebook) -> list[Row]:
    """Export every version to every runtime, score and time all files in one session, write and return the rows: one per
    version, runtime and number format, the float baseline of each runtime first.
    """
    exported = [_export(nb, target) for target in targets(nb)]
    ready = [one for one in exported if one.artifact]
    splits = {"val": nb.task.x_val.numpy(), "test": nb.task.x_test.numpy()}
    results = measure_files(
        [one.artifact for one in ready], splits, seconds=nb["measure_s"], threads=nb["threads"], who=nb.execution
    )
    measured = {one.row_id: result for one, result in zip(ready, results, strict=True)}
    session = {"session": short_id(nb.execution, time.time()), "machine": machine.describe(), "device": "host"}
    bases, outputs = _bases(exported, measured), _eager_outputs(nb, ready)
    built = [rows.build(session, one.columns, _compared(nb, one, exported, measured, bases, outputs)) for one in exported]
    for row in built:
        row["extra"]["flags"] = flags(row)
    files.save_samples(nb, measured, built)
    rows.write_rows(nb.run_dir / "rows" / f"{nb.execution}.jsonl", built)
    files.remove_stale_artifacts(nb.run_dir / "artifacts" / nb.execution, built)
    return built


def targets(nb: Notebook) -> list[Target]:
    """Every file that the versions ask for; the baseline goes to every runtime that any version goes to."""
    every = list(dict.fromkeys([*nb["runtimes"], *(name for made in nb.versions for name in made.runtimes or [])]))
    wanted = []
    for made in nb.versions:
        runtimes = every if made.role == "baseline" else made.runtimes or nb["runtimes"]
        quants = [None] if isinstance(made.network, FakeQuantized) else made.quants  # it brings its own integers
        batch_sizes = nb.params.get("batch_sizes", [1])
        wanted += [Target(made, name, quant, size) for quant in quants for name in runtimes for size in batch_sizes]
    return wanted


def _export(nb: Notebook, target: Target) -> Exported:
    """The row's identity, and the file where it can be made; otherwise the reason."""
    made = target.version
    identity = _identity(nb, target)
    if made.error:
        return Exported(target, rows.join(identity, {"status": made.status, "error": made.error}), None)
    network = made.model
    counts = {
        "n_params": count_params(network),
        "macs": count_macs(network, nb.task.input_shape),
        "checkpoint": getattr(network, "key", None),
    }
    try:
        folder = nb.run_dir / "artifacts" / nb.execution
        draft = folder / f"draft-{identity['row_id']}"
        artifact = export(network, nb.task, draft, runtime=target.runtime, quant=target.quant, batch_size=target.batch_size)
        artifact = files.settle(artifact, identity["row_id"])
    except Exception as error:  # a file that cannot be made is a row with its reason
        return Exported(target, rows.join(identity, counts, failure_columns(error)), None)
    path = {"artifact": str(artifact.path.relative_to(nb.run_dir))}
    return Exported(target, rows.join(identity, counts, columns.file_columns(artifact), path), artifact)


def failure_columns(error: BaseException) -> Row:
    """The columns that say why there is no file."""
    if isinstance(error, Unsupported):
        return {"status": "unsupported", "error": one_line(error), "extra": {"unsupported": error.code}}
    return {"status": "failed", "error": one_line(error)}


def _identity(nb: Notebook, target: Target) -> Row:
    """Who and what: everything that is known before the file is made."""
    made, quant = target.version, target.quant
    precision = quant.precision if quant else "int8-static" if isinstance(made.network, FakeQuantized) else "fp32"
    asked = {name: value for name, value in describe(quant).items() if value not in (None, ())} if quant else {}
    role, family = made.role, made.family
    if made.role == "baseline" and quant:  # the same network with other numbers is a version of it
        role, family = "version", "quantize"
    if not runtime(target.runtime).ships:
        role = "reference"
    steps = [step for step in (made.method if made.method != "baseline" else "", precision if quant else "") if step]
    point = short_id(point_id(nb, made), {**made.asked, **asked})
    return {
        "run": nb["run"],
        "notebook": nb.stem,
        "execution": nb.execution,
        "point_id": point,
        "row_id": short_id(
            nb.execution, point, target.runtime, precision, nb["threads"], target.batch_size, made.label, made.role, nb["seed"]
        ),
        "parent_id": made.parent_row,
        "task": nb["task"] if nb.data is None else nb.task.name,
        "model": nb.model_label,
        "role": role,
        "family": family,
        "method": "+".join(steps) or "baseline",
        "label": made.label,
        "seed": nb["seed"],
        "asked": made.asked | asked,
        "runtime": target.runtime,
        "precision": precision,
        "threads": nb["threads"],
        "batch_size": target.batch_size,
        "commit": machine.commit(),
        "started_at": made.started_at,
        "duration_s": made.duration_s,
        "size_packed_bytes": made.extra.get("size_packed_bytes"),
        "extra": {name: value for name, value in made.extra.items() if name != "size_packed_bytes"},
    }


def _bases(exported: list[Exported], measured: dict[str, Measured]) -> dict[tuple, str]:
    """Setting -> row of the file that others are compared with: the float baseline, or, where a runtime has no float file, the
    uncompressed network in the first number format that worked.
    """
    of_baseline = [one for one in exported if one.target.version.role == "baseline" and one.row_id in measured]
    bases = {one.target.setting: one.row_id for one in of_baseline if one.target.is_baseline}
    for one in of_baseline:
        bases.setdefault(one.target.setting, one.row_id)
    return bases


def _compared(
    nb: Notebook,
    one: Exported,
    exported: list[Exported],
    measured: dict[str, Measured],
    bases: dict[tuple, str],
    outputs: dict[int, np.ndarray],
) -> Row:
    """What measuring showed of one file, beside the file that it is compared with."""
    base_id, result = bases.get(one.target.setting), measured.get(one.row_id)
    if result is None:
        return {"baseline_id": base_id}
    is_itself = base_id == one.row_id
    base = None if is_itself else measured.get(base_id)
    base_size = next((other.columns["size_bytes"] for other in exported if other.row_id == base_id), None)
    known = {"baseline_id": base_id}
    if base_size and not is_itself:
        known["compression_ratio"] = base_size / one.columns["size_bytes"]
    shown = columns.measured_columns(result, base, nb.task)
    return rows.join(known, shown, _fidelity(nb, one, result, outputs, shown.get("status", "ok")))


def _fidelity(nb: Notebook, one: Exported, result: Measured, outputs: dict[int, np.ndarray], status: str) -> Row:
    """How often the file answers like its own network, and like the float baseline; a file that is not its network fails."""
    network = one.target.version.model
    fidelity = columns.agreement(result, outputs[id(network)], nb.task)
    base = nb.versions[0].network
    known = {"fidelity": fidelity, "agreement": None}
    if id(base) in outputs:
        known["agreement"] = columns.agreement(result, outputs[id(base)], nb.task)
    is_exact = one.target.quant is None
    if is_exact and fidelity is not None and fidelity < FAITHFUL and status == "ok":
        reason = f"the file agrees with its own network on {fidelity:.1%} of the items; at least {FAITHFUL:.0%} are needed"
        return known | {"status": "failed", "error": reason}
    return known


def _eager_outputs(nb: Notebook, ready: list[Exported]) -> dict[int, np.ndarray]:
    """Test outputs in PyTorch of every network that is measured, by its id."""
    networks: dict[int, nn.Module] = {id(one.target.version.model): one.target.version.model for one in ready}
    return {key: infer(network, nb.task.x_test).numpy() for key, network in networks.items()}
