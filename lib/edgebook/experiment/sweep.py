"""The files of one execution: export every version, one measuring session, one row per file."""

from __future__ import annotations

import traceback
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from edgebook import rows
from edgebook.boards import ssh
from edgebook.errors import BadInput, Unsupported
from edgebook.experiment import files
from edgebook.experiment.identity import identity
from edgebook.experiment.notebook import Notebook
from edgebook.experiment.targets import Target, targets
from edgebook.measure import columns, machine
from edgebook.measure.cores import core_columns
from edgebook.measure.flags import flags
from edgebook.measure.over_ssh import measure_over_ssh
from edgebook.measure.session import Measured, measure_files
from edgebook.models.macs import count_macs, count_params
from edgebook.naming import short_id
from edgebook.paths import measurements_dir
from edgebook.runtimes.base import Artifact, Quant, runtime
from edgebook.runtimes.export import export
from edgebook.training.loop import infer
from edgebook.vocabulary import precision

FEW = 2  # items whose answers may differ, in whatever few items there are
Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Exported:
    """A target, what is known of it before measuring, and its file when it could be made."""

    target: Target
    columns: Row
    artifact: Artifact | None

    @property
    def row_id(self) -> str:
        return self.columns["row_id"]


def measure(nb: Notebook) -> list[Row]:
    """Export every version to every runtime, score and time the files in one session, write and return the rows: one per
    version, runtime and number format, the float baseline of each runtime first; then those of each machine over SSH that the
    notebook names in `ssh_devices`.

    Files that this execution has measured before are not measured again, except the baselines when others are timed, and all on
    other machines.
    """
    exported = [_export(nb, target) for target in targets(nb)]
    ready = [one for one in exported if one.artifact]
    places = {one.row_id: number for number, one in enumerate(ready)}
    bases = _bases(exported, places.keys())
    splits = {"val": nb.task.x_val.numpy(), "test": nb.task.x_test.numpy()}
    common = {"seconds": nb["measure_s"], "threads": nb["threads"], "who": nb.execution}
    results = measure_files(
        [one.artifact for one in ready],
        splits,
        **common,
        folder=measurements_dir(nb.run_dir, nb.execution),
        bases=[places.get(bases.get(one.target.setting, "")) for one in ready],
    )
    outputs = _eager_outputs(nb, ready)
    device = machine.host() if nb["measure_s"] else "host"  # scores of all machines compare, times do not
    built, measured = _rows_of(nb, exported, results, bases, outputs, device)
    for url in nb.params.get("ssh_devices", []):
        runs_there = [one for one in ready if runtime(one.target.runtime).ships and runtime(one.target.runtime).has_latency]
        results = measure_over_ssh(url, [one.artifact for one in runs_there], splits, **common)
        there = _rows_of(nb, runs_there, results, bases, outputs, ssh.address(url).name, url=url)
        built, measured = built + there[0], measured | there[1]
    files.save_samples(nb, measured, built)
    rows.write_rows(nb.run_dir / "rows" / f"{nb.execution}.jsonl", built)
    files.remove_stale_artifacts(nb.run_dir / "artifacts" / nb.execution, built)
    return built


def _rows_of(
    nb: Notebook,
    exported: list[Exported],
    results: list[Measured],
    bases: dict[tuple, str],
    outputs: dict[int, np.ndarray],
    device: str,
    *,
    url: str | None = None,
) -> tuple[list[Row], dict[str, Measured]]:
    """The rows of one device, and the results of the files by their ids. The rows of another machine, at `url`, have ids of their
    own, and those of this one as parents."""
    ready = [one for one in exported if one.artifact]
    measured, built = {one.row_id: result for one, result in zip(ready, results, strict=True)}, []
    for one in exported:
        row = rows.build({"device": device}, one.columns, _compared(nb, one, exported, measured, bases, outputs))
        if url:
            row |= {"parent_id": one.row_id, "row_id": short_id(one.row_id, url)}
            row |= {"baseline_id": row["baseline_id"] and short_id(row["baseline_id"], url)}
            row["extra"]["over_ssh"] = True
        row["extra"]["flags"] = flags(row)
        built.append(row)
    return built, {short_id(row_id, url) if url else row_id: result for row_id, result in measured.items()}


def _export(nb: Notebook, target: Target) -> Exported:
    """The row's identity, and the file where it can be made; otherwise the reason."""
    made = target.version
    known = identity(nb, target)
    if made.error:
        return Exported(target, rows.join(known, {"status": made.status, "error": made.error}), None)
    network = made.model
    counts = {
        "n_params": count_params(network),
        "macs": count_macs(network, nb.task.input_shape),
        "checkpoint": getattr(network, "key", None),
        "extra": {"train_s": getattr(network, "seconds", None)},  # of the network, when it was made
    }
    try:
        folder = nb.run_dir / "artifacts" / nb.execution
        draft = folder / f"draft-{known['row_id']}"
        artifact = export(network, nb.task, draft, runtime=target.runtime, quant=target.quant, batch_size=target.batch_size)
        artifact = files.settle(artifact, known["row_id"])
        files.write_preprocess(artifact, nb.task)
    except Exception as error:  # a file that cannot be made is a row with its reason; all lines are for the log
        if error.__cause__ or not isinstance(error, BadInput | Unsupported):
            traceback.print_exc()
        return Exported(target, rows.join(known, counts, columns.failure_columns(error)), None)
    path = {"artifact": str(artifact.path.relative_to(nb.run_dir))}
    return Exported(target, rows.join(known, counts, columns.file_columns(artifact), path), artifact)


def _bases(exported: list[Exported], ready: Collection[str]) -> dict[tuple, str]:
    """Setting -> row of the file that others are compared with: the float baseline, or, where a runtime has no float file, the
    uncompressed network in the first number format that worked.
    """
    of_baseline = [one for one in exported if one.target.version.role == "baseline" and one.row_id in ready]
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
    if result.session is None:  # its device could not be reached
        return {"baseline_id": base_id, **columns.error_columns(result)}
    is_itself = base_id == one.row_id
    base = None if is_itself or base_id is None else measured[base_id].timed_beside(result)
    base_size = next((other.columns["size_bytes"] for other in exported if other.row_id == base_id), None)
    known = {"baseline_id": base_id, "session": result.session.id, "machine": result.session.machine}
    if base_size and not is_itself:
        known["compression_ratio"] = base_size / one.columns["size_bytes"]
    shown = columns.measured_columns(result, base, nb.task)
    if one.target.core and not result.error:
        shown = rows.join(shown, core_columns(result.artifact, nb.task, one.target.core))
    return rows.join(known, shown, _fidelity(nb, one, result, outputs, shown.get("status", "ok")))


def _fidelity(nb: Notebook, one: Exported, result: Measured, outputs: dict[int, np.ndarray], status: str) -> Row:
    """How often the file answers like its own network, and like the float baseline; a file that is not its network fails."""
    network = one.target.version.model
    fidelity = columns.agreement(result, outputs[id(network)], nb.task)
    base = nb.versions[0].network
    known = {"fidelity": fidelity, "agreement": None}
    if id(base) in outputs:
        known["agreement"] = columns.agreement(result, outputs[id(base)], nb.task)
    if status == "ok" and (reason := _why_unfaithful(fidelity, len(result.items["test"]), one.target.quant)):
        return known | {"status": "failed", "error": reason}
    return known


def _why_unfaithful(fidelity: float | None, n_items: int, quant: Quant | None) -> str | None:
    """The reason why a file is not the network that it was made from; None for one that is, or whose format costs answers.

    A network that was trained quantized, or whose weights share values, is one that rounds already: its file is exact.
    """
    needed = precision(quant.precision if quant else "fp32").faithful
    if fidelity is None or needed is None or fidelity >= min(needed, 1 - FEW / n_items):
        return None
    return f"the file agrees with its own network on {fidelity:.1%} of the items; at least {needed:.0%} are needed"


def _eager_outputs(nb: Notebook, ready: list[Exported]) -> dict[int, np.ndarray]:
    """Test outputs in PyTorch of every network that is measured, by its id."""
    networks: dict[int, nn.Module] = {id(one.target.version.model): one.target.version.model for one in ready}
    return {key: infer(network, nb.task.x_test).numpy() for key, network in networks.items()}
