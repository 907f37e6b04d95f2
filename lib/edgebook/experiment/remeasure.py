"""Files of different notebooks, timed again in one session: only then do their latencies compare."""

from __future__ import annotations

import time
from typing import Any

from edgebook import rows as rows_module
from edgebook.experiment.notebook import Lab
from edgebook.measure import columns as figures
from edgebook.measure import flags, machine
from edgebook.measure.session import measure_files
from edgebook.metrics import intervals as stats
from edgebook.runtimes import Artifact

SPEED = ("latency_ms_p50", "latency_ms_p90", "latency_lo", "latency_hi", "n_repeats",
         "speedup", "speedup_lo", "speedup_hi", "speed_verdict")  # fmt: skip


def measure_together(lab: Lab, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with latencies and speed-ups of one new session; scores are the files' own and stay. Written and returned.

    A row is compared with the float baseline of its task, model, seed, runtime and batch, which must be among the rows.
    """
    artifacts = [Artifact(lab.run_dir / row["artifact"], row["runtime"], row["precision"]) for row in rows]
    measured = measure_files(artifacts, {}, seconds=lab["measure_s"], threads=lab["threads"], who=lab.execution)
    session, context = rows_module.short_id(lab.execution, time.time()), machine.describe()
    bases = {_setting(row): number for number, row in enumerate(rows) if is_float_baseline(row)}
    ids = [rows_module.short_id(lab.execution, row["row_id"]) for row in rows]
    again = []
    for row, result, row_id in zip(rows, measured, ids, strict=True):
        base = bases.get(_setting(row))
        new = {**row, **dict.fromkeys(SPEED), "notebook": lab.notebook, "execution": lab.execution, "row_id": row_id}
        new |= {"parent_id": row["row_id"], "session": session, "machine": context, "commit": machine.commit()}
        new |= {"baseline_id": None if base is None else ids[base], "rss_bytes": result.rss_bytes}
        if result.error:
            new |= {"status": "failed", "error": result.error}
        found = figures.latency(result)
        if base is not None:
            found |= figures.speed(result, measured[base])
        new |= {**found, "extra": {**row["extra"], **found.get("extra", {})}}
        new["extra"]["flags"] = flags.flags(new)
        again.append(new)
    rows_module.write_rows(lab.run_dir / "rows" / f"{lab.execution}.jsonl", again)
    return again


def is_float_baseline(row: dict[str, Any]) -> bool:
    return row["family"] == "baseline" and row["precision"] == "fp32"


def _setting(row: dict[str, Any]) -> tuple:
    return row["task"], row["model"], row["seed"], row["runtime"], row["batch_size"]


def finalists(rows: list[dict[str, Any]], most: int = 8) -> list[dict[str, Any]]:
    """For every task, model and seed: the float baselines, and at most `most` files that no other beats on validation
    score and size or on validation score and latency, the best scores first.
    """
    chosen = []
    for setting in dict.fromkeys((row["task"], row["model"], row["seed"]) for row in rows):
        own = {}
        for row in rows:
            if (row["task"], row["model"], row["seed"]) == setting and row["status"] == "ok" and row["artifact"]:
                own.setdefault((row["sha256"], row["runtime"]), row)
        bases = [row for row in own.values() if is_float_baseline(row)]
        others = [row for row in own.values() if not is_float_baseline(row) and row["val_score"] is not None]
        front = {row["row_id"]: row for cost in ("size_bytes", "latency_ms_p50") for row in _front(others, cost)}
        chosen += bases + sorted(front.values(), key=lambda row: -row["val_score"])[:most]
    return chosen


def _front(rows: list[dict[str, Any]], cost: str) -> list[dict[str, Any]]:
    known = [row for row in rows if row[cost] is not None and row["runtime"] != "torch"]
    mask = stats.pareto([[row["val_score"], row[cost]] for row in known], (True, False)) if known else []
    return [row for row, kept in zip(known, mask, strict=True) if kept]
