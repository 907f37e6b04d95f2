"""Files of different notebooks, timed again in one session: only then do their latencies compare."""

from __future__ import annotations

import time
from typing import Any

from edgebook import rows as row_files
from edgebook.experiment.finalists import is_float_baseline, setting_of
from edgebook.experiment.notebook import Notebook
from edgebook.measure import columns, latency, machine
from edgebook.measure.flags import flags
from edgebook.measure.session import Measured, measure_files
from edgebook.naming import short_id
from edgebook.runtimes.base import Artifact, runtime

Row = dict[str, Any]
TIMED = (
    "latency_ms_p50",
    "latency_ms_p90",
    "latency_lo",
    "latency_hi",
    "n_repeats",
    "speedup",
    "speedup_lo",
    "speedup_hi",
    "speed_verdict",
    "rss_bytes",
    "samples",  # they hold arrays of the first measurement, under its row: `parent_id` leads there
)


def measure_together(nb: Notebook, rows: list[Row]) -> list[Row]:
    """The rows with latencies and speed-ups of one new session; scores are the files' own and stay. Written and returned.

    A row is compared with the float baseline of its case, seed, runtime and batch, where that is among the rows.
    """
    artifacts = [Artifact(nb.run_dir / row["artifact"], row["runtime"], row["precision"]) for row in rows]
    results = measure_files(artifacts, {}, seconds=nb["measure_s"], threads=nb["threads"], who=nb.execution)
    session = {
        "session": short_id(nb.execution, time.time()),
        "machine": machine.describe(),
        "commit": machine.commit(),
        "notebook": nb.stem,
        "execution": nb.execution,
    }
    bases = {_same(row): number for number, row in enumerate(rows) if is_float_baseline(row)}
    ids = [short_id(nb.execution, row["row_id"]) for row in rows]
    built = []
    for number, row in enumerate(rows):
        base = bases.get(_same(row))
        identity = {"row_id": ids[number], "parent_id": row["row_id"], "baseline_id": None if base is None else ids[base]}
        identity["device"] = machine.host() if runtime(row["runtime"]).has_latency else row["device"]
        compared_with = results[base] if base not in (None, number) else None
        again = row_files.build(row, dict.fromkeys(TIMED), session, identity, _timed(results[number], compared_with))
        again["extra"]["flags"] = flags(again)
        built.append(again)
    row_files.write_rows(nb.run_dir / "rows" / f"{nb.execution}.jsonl", built)
    return built


def _timed(result: Measured, base: Measured | None) -> Row:
    """The columns of one file's timing, or why there are none."""
    if result.error:
        return columns.error_columns(result)
    speed = {} if base is None else latency.speed_columns(result, base)
    return row_files.join({"rss_bytes": result.rss_bytes}, latency.latency_columns(result), speed)


def _same(row: Row) -> tuple:
    return *setting_of(row), row["runtime"], row["batch_size"]
