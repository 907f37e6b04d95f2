"""Several seeds of one point become one row: means, spread and the interval over seeds."""

from __future__ import annotations

import math
from typing import Any

from edgebook.metrics import intervals as stats

Row = dict[str, Any]
POINT = ("task", "model", "point_id", "runtime", "precision", "device", "threads", "batch_size")
FILE = ("task", "model", "family", "runtime", "precision", "device", "threads", "batch_size", "seed")
MEANS = (
    "val_score",
    "fidelity",
    "agreement",
    "n_params",
    "macs",
    "size_bytes",
    "size_zip_bytes",
    "size_packed_bytes",
    "arena_bytes",
    "rss_bytes",
    "latency_ms_p90",
    "latency_ms_est",
    "compression_ratio",
    "duration_s",
)
EXTRA_MEANS = ("macro_f1", "worst_class_accuracy", "calibration_error", "int8_nodes", "int8_time", "portability", "disturbed")
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


def files(rows: list[Row]) -> list[Row]:
    """One row a file and setting: a figure of 90_compare replaces the earlier ones of the same file.

    90_compare measures the front's files together in one session; a baseline is measured again in every session."""
    chosen: dict[tuple, Row] = {}
    for row in rows:
        same = row["row_id"] if row["status"] != "ok" else (row.get("sha256") or row.get("point_id") or row["row_id"])
        key = (*(row.get(name) for name in FILE), same)
        if key not in chosen or row.get("notebook") == "90_compare":
            chosen[key] = row
    return list(chosen.values())


def with_references(rows: list[Row]) -> list[Row]:
    """The rows with `extra.vs_torch` and `extra.vs_onnx`: times faster than eager PyTorch and than ONNX Runtime fp32.

    Only where those were timed in the same session, on the same device and threads."""
    where = ("task", "model", "session", "device", "threads", "batch_size")
    lines = [row for row in ok(rows) if row["family"] == "baseline" and row["precision"] == "fp32" and row["latency_ms_p50"]]
    times = {(row["runtime"], *(row[key] for key in where)): row["latency_ms_p50"] for row in lines}
    found = []
    for row in rows:
        known = {name: times.get((name, *(row[key] for key in where))) for name in ("torch", "onnx")}
        ratios = {f"vs_{name}": time / row["latency_ms_p50"] for name, time in known.items() if time and row["latency_ms_p50"]}
        found.append({**row, "extra": {**(row["extra"] or {}), **ratios}} if row["session"] else row)
    return found


def merge(rows: list[Row]) -> list[Row]:
    """Rows with several seeds of one point x runtime x precision merged; all others as they are, in order.

    A merged row holds means, intervals over seeds, and `extra.n_seeds`, `extra.score_sd`."""
    merged = []
    for key, group in grouped(rows, POINT).items():
        good = ok(group)
        several = key[2] is not None and len({row["seed"] for row in good}) > 1
        merged += [_mean_row(good), *(row for row in group if row["status"] != "ok")] if several else group
    return merged


def _mean_row(group: list[Row]) -> Row:
    """One row for several seeds."""
    row = {**group[0], "seed": None, "extra": {**(group[0]["extra"] or {}), "n_seeds": len(group)}}
    for name in MEANS:
        row[name] = _mean(group, name)
    for name in EXTRA_MEANS:
        row["extra"] |= {name: _mean([one["extra"] or {} for one in group], name)} if name in row["extra"] else {}
    row["extra"].pop("mcnemar_p", None)  # of one seed's files, it says nothing of the others
    if "flags" in row["extra"]:  # said of the point only when true of every seed
        lists = [(one["extra"] or {}).get("flags", []) for one in group]
        row["extra"]["flags"] = [flag for flag in lists[0] if all(flag in one for one in lists)]
    for name in [key for key in row["extra"] if key.startswith("vs_")]:
        row["extra"][name] = _mean([one["extra"] for one in group], name)
    for name, (low, high) in ENDS.items():
        over = _over_seeds([one[name] for one in group], log=name == "speedup")
        row[name], row[low], row[high] = over["mean"], over["lo"], over["hi"]
        row["extra"][f"{name.removesuffix('_ms_p50')}_sd"] = over["sd"]
    if row["delta_lo"] is not None:
        row["verdict"] = stats.verdict(row["delta_lo"], row["delta_hi"])
    if row["speedup_lo"] is not None:
        unstable = any(one["speed_verdict"] == "unstable" for one in group)
        row["speed_verdict"] = "unstable" if unstable else stats.speed_verdict(row["speedup_lo"], row["speedup_hi"])
    return row


def _over_seeds(values: list[float | None], *, log: bool) -> dict[str, Any]:
    """mean, sd, lo, hi of the values there are; of ratios, in their logarithm."""
    known = [one for one in values if one is not None]
    if not known:
        return dict.fromkeys(("mean", "sd", "lo", "hi"))
    if not log:
        return stats.over_seeds(known)
    over = stats.over_seeds([math.log(one) for one in known])
    return {key: over[key] if key == "sd" or over[key] is None else math.exp(over[key]) for key in ("mean", "sd", "lo", "hi")}


def _mean(group: list[Row], name: str) -> float | None:
    values = [row[name] for row in group if row.get(name) is not None]
    return sum(values) / len(values) if values else None
