"""The files of one execution: export, one measuring session, rows."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from edgebook import rows, runtimes
from edgebook.errors import Unsupported
from edgebook.experiment.notebook import Lab, Point, one_line, point_id
from edgebook.measure import columns as figures
from edgebook.measure import flags, machine
from edgebook.measure.session import Measured, measure_files
from edgebook.models.macs import count_macs, count_params
from edgebook.runtimes import Artifact, Quant
from edgebook.training.loop import infer

FAITHFUL = 0.98  # a float file that answers otherwise more often was converted wrongly


def measure(lab: Lab) -> list[dict[str, Any]]:
    """Export every point to every runtime, score and time all files in one session, write and return the rows:
    one for every point x runtime x number format, the float baseline of each runtime first.
    """
    found = [
        _exported(lab, point, runtime, quant, batch_size)
        for point in lab.points
        for quant in ([None] if hasattr(point.model, "integers") else point.quants)  # trained quantized: it has its numbers
        for runtime in _targets(lab, point)
        for batch_size in lab.params.get("batch_sizes", [1])
    ]
    ready = [(row, artifact) for row, _, artifact in found if artifact]
    splits = {"val": lab.task.x_val.numpy(), "test": lab.task.x_test.numpy()}
    measured = measure_files(
        [artifact for _, artifact in ready], splits, seconds=lab["measure_s"], threads=lab["threads"], who=lab.execution
    )
    session, context = rows.short_id(lab.execution, time.time()), machine.describe()
    by_row = {row["row_id"]: result for (row, _), result in zip(ready, measured, strict=True)}
    bases = {_setting(row): row["row_id"] for row, point, _ in found if point.family == "baseline" and row["precision"] == "fp32"}
    for row, point, _ in found:  # a runtime without a float file compares with its uncompressed integer one
        if point.family == "baseline" and row["status"] == "ok":
            bases.setdefault(_setting(row), row["row_id"])
    models = {id(point.model): point.model for _, point, artifact in found if artifact}
    eager = {key: infer(model, lab.task.x_test).numpy() for key, model in models.items()}
    for row, point, _ in found:
        row |= {"baseline_id": bases.get(_setting(row)), "session": session, "machine": context}
        row["device"] = row["device"] or "host"
        if row["row_id"] in by_row:
            figures.fill(row, by_row[row["row_id"]], by_row.get(row["baseline_id"]), lab.task)
            _check_fidelity(row, by_row[row["row_id"]], eager[id(point.model)])
            row["agreement"] = _agreement(by_row[row["row_id"]], eager.get(id(lab.points[0].model)))
    _name_other_targets([row for row, _, _ in found])
    sizes = {row["row_id"]: row["size_bytes"] for row, _, _ in found}
    for row, _, _ in found:
        if row["size_bytes"] and sizes.get(row["baseline_id"]):
            row["compression_ratio"] = sizes[row["baseline_id"]] / row["size_bytes"]
        row["extra"]["flags"] = flags.flags(row)
    _save_samples(lab, by_row, found)
    rows.write_rows(lab.run_dir / "rows" / f"{lab.execution}.jsonl", [row for row, _, _ in found])
    return [row for row, _, _ in found]


def _targets(lab: Lab, point: Point) -> list[str]:
    """The runtimes of a point; the baseline goes to every runtime that any point goes to, since they are compared with it."""
    if point.family != "baseline":
        return point.runtimes or lab["runtimes"]
    return list(dict.fromkeys([*lab["runtimes"], *(name for other in lab.points for name in other.runtimes or [])]))


def _setting(row: dict[str, Any]) -> tuple[str, int]:
    """What two rows share that are compared with each other."""
    return row["runtime"], row["batch_size"]


def _exported(
    lab: Lab, point: Point, runtime: str, quant: Quant | None, batch_size: int
) -> tuple[dict[str, Any], Point, Artifact | None]:
    """A row that says who and what was asked, and the file when it could be made."""
    precision = quant.precision if quant else runtimes.own_precision(point.model)
    asked = {
        **point.asked,
        **({k: v for k, v in runtimes.describe(quant).items() if v not in (None, ())} if quant else {}),
    }
    method = point.method if not quant else f"{point.method}+{precision}" if point.method != "baseline" else precision
    same = rows.short_id(point_id(lab, point), asked)
    row = rows.new_row(
        run=lab["run"], notebook=lab.notebook, execution=lab.execution, point_id=same, task=lab.task.name,
        row_id=rows.short_id(lab.execution, same, runtime, precision, lab["threads"], batch_size, lab["seed"]),
        model=lab["model"], family=point.family, method=method, label=point.label, seed=lab["seed"], asked=asked,
        runtime=runtime, precision=precision, threads=lab["threads"], batch_size=batch_size, commit=machine.commit(),
        started_at=point.started_at, duration_s=point.duration_s, extra=dict(point.extra), parent_id=point.parent,
        status=point.status if point.error else "ok", error=point.error,
    )  # fmt: skip
    row["size_packed_bytes"] = row["extra"].pop("size_packed_bytes", None)  # computed by the technique, storage only
    if point.error:
        return row, point, None
    row |= {"n_params": count_params(point.model), "macs": count_macs(point.model, lab.task.input_shape)}
    row |= {"checkpoint": getattr(point.model, "key", None)}
    try:
        path = lab.run_dir / "artifacts" / lab.execution / row["row_id"]
        artifact = runtimes.export(point.model, lab.task, path, runtime=runtime, quant=quant, batch_size=batch_size)
    except Exception as error:  # a file that cannot be made is a row with its reason
        row |= {"status": "unsupported" if isinstance(error, Unsupported) else "failed", "error": one_line(error)}
        return row, point, None
    row |= {"artifact": str(artifact.path.relative_to(lab.run_dir)), "precision": artifact.precision}
    row |= figures.of_file(artifact)
    figures.merge(row, artifact.facts)
    return row, point, artifact


def _name_other_targets(found: list[dict[str, Any]]) -> None:
    """What one target cannot run another may: an unsupported row says which runtimes took the same point so."""
    for row in found:
        if row["status"] == "unsupported":
            same = [other for other in found if other["point_id"] == row["point_id"] and other["status"] == "ok"]
            able = dict.fromkeys(other["runtime"] for other in same if other["precision"] == row["precision"])
            row["error"] += f"; {', '.join(able)} can" if able else "; no other runtime of this run can"


def _agreement(measured: Measured, float_outputs: np.ndarray | None) -> float | None:
    known = float_outputs is not None and "test" in measured.outputs
    return figures.same_answers(measured, float_outputs) if known else None


def _check_fidelity(row: dict, measured: Measured, own: np.ndarray) -> None:
    """How often the file answers like its PyTorch model, whose test outputs are `own` (n, n_outputs)."""
    if measured.outputs.keys() >= {"val", "test"}:
        row["fidelity"] = figures.same_answers(measured, own)
        if row["precision"] == "fp32" and row["fidelity"] < FAITHFUL and row["status"] == "ok":
            wrong = f"the float file answers like its network on {row['fidelity']:.1%} of the items only"
            row |= {"status": "failed", "error": wrong}


def _save_samples(lab: Lab, by_row: dict[str, Measured], found: list) -> None:
    """Test outputs (fp16), scored items and block medians of every row, in one .npz an execution."""
    arrays: dict[str, np.ndarray] = {"labels": lab.task.y_test.numpy().astype(np.int16)}
    for row_id, measured in by_row.items():
        if "test" in measured.outputs:
            arrays[f"{row_id}.outputs"] = measured.outputs["test"].clip(-6e4, 6e4).astype(np.float16)
            arrays[f"{row_id}.items"] = measured.items["test"].astype(np.int32)
        arrays[f"{row_id}.blocks_ms"] = np.array(measured.blocks_p50, np.float32)
        arrays[f"{row_id}.blocks_quiet"] = np.array(measured.quiet, bool)
    path = lab.run_dir / "samples" / f"{lab.execution}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)
    for row, _, _ in found:
        if row["row_id"] in by_row:
            row["samples"] = str(path.relative_to(lab.run_dir))
