"""Which version to ship: chosen by the validation score, answered with the test score."""

from __future__ import annotations

import math
from typing import Any

from edgebook.errors import BadInput
from edgebook.metrics import intervals as stats
from edgebook.report import format as words
from edgebook.report.aggregate import POINT, grouped, merge, ok
from edgebook.rows import is_control

Row = dict[str, Any]
COSTS = ("size_bytes", "latency_ms_p50")


def shippable(rows: list[Row]) -> list[Row]:
    """Rows with figures, of a runtime that ships: eager PyTorch is a reference."""
    return [row for row in ok(rows) if row["runtime"] != "torch"]


def candidates(rows: list[Row]) -> list[Row]:
    """What may be named to ship: shippable, and no control."""
    return [row for row in shippable(rows) if not is_control(row)]


def front(rows: list[Row], cost: str = "size_bytes") -> list[Row]:
    """The candidates that no other beats in both validation score and `cost`, cheapest first; seeds merged.

    Raises BadInput for a cost that is none of size_bytes and latency_ms_p50."""
    if cost not in COSTS:
        raise BadInput(f"cost {cost!r} is unknown; known: {', '.join(COSTS)}")
    known = [row for row in merge(candidates(rows)) if row["val_score"] is not None and row[cost] is not None]
    if not known:
        return []
    mask = stats.pareto([(row["val_score"], row[cost]) for row in known], maximise=(True, False))
    return sorted((row for row, keep in zip(known, mask, strict=True) if keep), key=lambda row: row[cost])


def baseline_of(row: Row, rows: list[Row]) -> Row | None:
    """What a row is compared with: the float baseline in its runtime, else the best by validation; else an integer one.

    `rows` have their seeds merged, or the baseline of the row's seed is preferred."""
    lines = [one for one in ok(rows) if one["family"] == "baseline" and one["val_score"] is not None]
    lines = [one for one in lines if one["precision"] == "fp32"] or lines
    lines = [one for one in lines if one["seed"] == row["seed"]] or lines
    lines = [one for one in lines if one["runtime"] == row["runtime"]] or lines
    return max(lines, key=lambda one: one["val_score"], default=None)


def _within(row: Row, max_size_bytes: float | None, max_latency_ms: float | None, runtime: str | None) -> bool:
    """Whether a row is known to keep every limit that is set."""
    limits = [(row["size_bytes"], max_size_bytes), (row["latency_ms_p50"], max_latency_ms)]
    fits = all(limit is None or (value is not None and value <= limit) for value, limit in limits)
    return fits and runtime in (None, row["runtime"])


def _keeps(row: Row, rows: list[Row], max_loss: float) -> bool:
    """Whether the validation score is at most `max_loss` below the baseline's (rounding forgiven)."""
    line = baseline_of(row, rows)
    return line is not None and row["val_score"] is not None and row["val_score"] >= line["val_score"] - max_loss - 1e-9


def _cheapest(rows: list[Row]) -> Row | None:
    """The fastest; of those that are as fast within the margin, the smallest. Rows without latency come last."""
    timed = [row for row in rows if row["latency_ms_p50"] is not None]
    if timed:
        limit = min(row["latency_ms_p50"] for row in timed) * math.exp(stats.SPEED_MARGIN)
        rows = [row for row in timed if row["latency_ms_p50"] <= limit]
    endless = float("inf")
    return min(rows, key=lambda row: (row["size_bytes"] or endless, row["latency_ms_p50"] or endless), default=None)


def choose(
    rows: list[Row],
    *,
    max_loss: float = 0.005,
    max_size_bytes: float | None = None,
    max_latency_ms: float | None = None,
    runtime: str | None = None,
) -> Row | None:
    """The row to ship, or None when no row keeps the limits.

    Of the points within the limits whose validation score is at most `max_loss` below the float baseline's, the
    fastest. With several seeds a point counts by its means; its seed with the best validation score ships."""
    points = merge(candidates(rows))
    lines = merge(ok(rows))
    best = _cheapest(
        [row for row in points if _within(row, max_size_bytes, max_latency_ms, runtime) and _keeps(row, lines, max_loss)]
    )
    if best is None:
        return None
    seeds = grouped(candidates(rows), POINT)[tuple(best[key] for key in POINT)] if best["seed"] is None else [best]
    return max(seeds, key=lambda row: row["val_score"] if row["val_score"] is not None else -float("inf"))


def answer(
    rows: list[Row],
    *,
    max_loss: float = 0.005,
    max_size_bytes: float | None = None,
    max_latency_ms: float | None = None,
    runtime: str | None = None,
) -> str:
    """One sentence: what to ship, its test score, size and latency beside the float baseline's."""
    if not ok(rows):
        return "No version could be measured."
    row = choose(rows, max_loss=max_loss, max_size_bytes=max_size_bytes, max_latency_ms=max_latency_ms, runtime=runtime)
    if row is None:
        return "No version that was measured keeps the limits."
    share = words.is_share(row["metric"])
    metric = str(row["metric"] or "accuracy").replace("_", " ")
    range_ = words.interval(row["score_lo"], row["score_hi"], lambda v: words.score(v, row["metric"]))
    score = words.with_interval(words.score(row["score"], row["metric"]) + (" %" if share else ""), range_)
    plain = row["family"] == "baseline" and row["precision"] == "fp32"
    what = "the float baseline as it is: nothing lighter kept its accuracy on validation" if plain else words.name(row)
    where = f"{row['runtime']}, {row['precision']}"
    parts = [f"test {metric} {score}{'' if plain else _against(row)}", _size(row), _speed(row)]
    return f"Ship {what} ({where}): {'; '.join(part for part in parts if part)}."


def _against(row: Row) -> str:
    """How the test score compares with the float baseline's, as the verdict allows to say it."""
    unit = " points" if words.is_share(row["metric"]) else ""
    around = words.interval(row["delta_lo"], row["delta_hi"], lambda end: words.difference(end, row["metric"]))
    figure = words.with_interval(words.difference(row["delta"], row["metric"]) + unit, around)
    said = {
        "same": f", the same as the float baseline within the margin: {figure}",
        "better": f", better than the float baseline by {figure}",
        "worse": f", worse than the float baseline: {figure}",
        "cannot tell": f", which the test set cannot tell from the float baseline: {figure}",
    }
    return said.get(row["verdict"], "") if row["delta"] is not None else ""


def _size(row: Row) -> str:
    """`42.3 kB, 7.4 times smaller`."""
    if row["size_bytes"] is None:
        return ""
    ratio = row["compression_ratio"]
    smaller = f", {words.times(ratio)} times smaller" if ratio and ratio > 1.005 else ""
    larger = f", {words.times(1 / ratio)} times larger" if ratio and ratio < 0.995 else ""
    return f"{words.size(row['size_bytes'])}{smaller}{larger}"


def _speed(row: Row) -> str:
    """`0.112 ms, 3.1 times faster (3.0–3.2)`, as the verdict allows to say it."""
    if row["latency_ms_p50"] is None:
        est = row["latency_ms_est"]
        return f"latency estimated at {words.digits(est)} ms, not measured" if est is not None else "latency not measured"
    ratio, around = words.speed(row["speedup"]), words.interval(row["speedup_lo"], row["speedup_hi"], words.speed)
    said = {
        "faster": words.with_interval(f", {ratio} times faster", around),
        "slower": words.with_interval(f", slower: speed-up {ratio}", around),
        "same": ", as fast as the float baseline within 3 %",
        "cannot tell": words.with_interval(f", cannot tell whether faster: speed-up {ratio}", around),
        "unstable": ", but the machine was too unstable to compare",
    }
    return f"{words.digits(row['latency_ms_p50'])} ms" + (said.get(row["speed_verdict"], "") if row["speedup"] else "")
