"""Rows -> fewer rows: one for each file, and one for several seeds of a point, with means and intervals over seeds."""

from __future__ import annotations

import math
from typing import Any

from edgebook.metrics import intervals, verdicts
from edgebook.report.format import margin
from edgebook.rows import CASE, Row

POINT = (*CASE, "point_id", "runtime", "precision", "device", "threads", "batch_size")
FILE = (*CASE, "role", "family", "runtime", "precision", "device", "threads", "batch_size", "seed")
SESSION = (*CASE, "session", "device", "threads", "batch_size")
MEANS = (
    *("val_score", "fidelity", "agreement", "n_params", "macs", "size_bytes", "size_zip_bytes", "size_packed_bytes"),
    *(
        "weight_bits",
        "flash_bytes",
        "ram_bytes",
        "stack_bytes",
        "instructions",
        "arena_bytes",
        "rss_bytes",
        "latency_ms_p90",
        "latency_ms_est",
        "compression_ratio",
        "duration_s",
    ),
)
EXTRA_MEANS = (
    *("val_delta", "val_delta_lo", "val_delta_hi", "macro_f1", "worst_class_accuracy", "calibration_error"),
    *("int8_nodes", "int8_time", "portability", "disturbed", "vs_torch", "vs_onnx"),
    *("false_alarms_per_hour", "misses_per_hour", "unevenness"),
)
ENDS = {
    "score": ("score_lo", "score_hi"),
    "delta": ("delta_lo", "delta_hi"),
    "latency_ms_p50": ("latency_lo", "latency_hi"),
    "speedup": ("speedup_lo", "speedup_hi"),
}


def value(row: Row, key: str) -> Any:
    """`row[key]`, or what a dotted column names: `asked.pruning_ratio`. None when absent."""
    group, _, inner = key.partition(".")
    return (row.get(group) or {}).get(inner) if inner else row.get(key)


def ok(rows: list[Row]) -> list[Row]:
    """The rows that have figures."""
    return [row for row in rows if row["status"] == "ok"]


def grouped(rows: list[Row], keys: tuple[str, ...]) -> dict[tuple, list[Row]]:
    """Rows by the values of `keys`, in order of appearance."""
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row.get(key) for key in keys), []).append(row)
    return groups


def is_float_baseline(row: Row) -> bool:
    """Whether this is a float file of the network as it was trained, also in a runtime that is shown for reference only."""
    return row["family"] == "baseline" and row["precision"] == "fp32" and row["role"] in ("baseline", "reference")


def is_own_baseline(row: Row) -> bool:
    """Whether this row is what the others are compared with: it is not compared with itself."""
    return row["row_id"] == row["baseline_id"] or is_float_baseline(row)


def files(rows: list[Row]) -> list[Row]:
    """One row for each file and setting, in order of appearance: of several, the one that was measured again last (its parent
    is a row of the same file, and its session holds all finalists), else the first.
    """
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        file = row["row_id"] if row["status"] != "ok" else (row["sha256"] or row["point_id"] or row["row_id"])
        groups.setdefault((*(row[key] for key in FILE), file), []).append(row)
    return [_latest(group) for group in groups.values()]


def _latest(group: list[Row]) -> Row:
    ids = {row["row_id"] for row in group}
    again = [row for row in group if row["parent_id"] in ids and row["parent_id"] != row["row_id"]]
    return again[-1] if again else group[0]


def with_references(rows: list[Row]) -> list[Row]:
    """The rows with `extra.vs_torch` and `extra.vs_onnx`: times faster than eager PyTorch and than ONNX Runtime fp32.

    Only where those were timed in the same session, on the same device and threads.
    """
    times = {
        (row["runtime"], *(row[key] for key in SESSION)): row["latency_ms_p50"] for row in ok(rows) if is_float_baseline(row)
    }
    return [{**row, "extra": {**(row["extra"] or {}), **_ratios(row, times)}} if row["session"] else row for row in rows]


def _ratios(row: Row, times: dict[tuple, float | None]) -> dict[str, float]:
    """How much faster a row's file is than the references that were timed in its session."""
    references = {name: times.get((name, *(row[key] for key in SESSION))) for name in ("torch", "onnx")}
    return {f"vs_{name}": ms / row["latency_ms_p50"] for name, ms in references.items() if ms and row["latency_ms_p50"]}


def merge(rows: list[Row]) -> list[Row]:
    """Rows with several seeds of one point x runtime x precision merged; all others as they are, in order.

    A merged row holds means, intervals over seeds, and `extra.n_seeds`, `extra.score_sd`.
    """
    merged = []
    for key, group in grouped(rows, POINT).items():
        measured = ok(group)
        several = key[POINT.index("point_id")] is not None and len({row["seed"] for row in measured}) > 1
        merged += [_mean_row(measured), *(row for row in group if row["status"] != "ok")] if several else group
    return merged


def _mean_row(group: list[Row]) -> Row:
    """One row for several seeds. What belongs to one seed's file alone (McNemar's p, the path) is no part of it."""
    row = {**group[0], "seed": None, **{name: _mean([row[name] for row in group]) for name in MEANS}}
    row["extra"] = _mean_extra([row["extra"] or {} for row in group])
    for name, (low, high) in ENDS.items():
        over = _over_seeds([row[name] for row in group], log=name == "speedup")
        row |= {name: over["mean"], low: over["lo"], high: over["hi"]}
        row["extra"][f"{name.removesuffix('_ms_p50')}_sd"] = over["sd"]
    if row["delta_lo"] is not None:
        row["verdict"] = verdicts.verdict(row["delta_lo"], row["delta_hi"], margin(row))
    if row["speedup_lo"] is not None and row["speed_verdict"] is not None:
        unstable = any(one_seed["speed_verdict"] == "unstable" for one_seed in group)
        row["speed_verdict"] = "unstable" if unstable else verdicts.speed_verdict(row["speedup_lo"], row["speedup_hi"])
    return row


def _mean_extra(extras: list[dict[str, Any]]) -> dict[str, Any]:
    """`extra` of the first seed with means over all where there are some; a flag stays when every seed has it."""
    extra = {name: content for name, content in extras[0].items() if name != "mcnemar_p"} | {"n_seeds": len(extras)}
    extra |= {name: _mean([other.get(name) for other in extras]) for name in EXTRA_MEANS if name in extra}
    if "flags" in extra:
        extra["flags"] = [flag for flag in extra["flags"] if all(flag in other.get("flags", []) for other in extras)]
    return extra


def _over_seeds(values: list[float | None], *, log: bool) -> dict[str, Any]:
    """mean, sd, lo, hi of the values there are; of ratios, in their logarithm."""
    present = [value for value in values if value is not None]
    if not present:
        return dict.fromkeys(("mean", "sd", "lo", "hi"))
    if not log:
        return intervals.over_seeds(present)
    over = intervals.over_seeds([math.log(value) for value in present])
    return {key: over[key] if key == "sd" or over[key] is None else math.exp(over[key]) for key in ("mean", "sd", "lo", "hi")}


def _mean(values: list[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None
