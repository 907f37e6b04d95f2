"""What a figure's axis shows: its rows, its unit, its title and the interval of each point."""

from __future__ import annotations

from typing import Any

from edgebook.errors import BadInput
from edgebook.report import format as words
from edgebook.report.aggregate import ENDS, merge, ok, value

Row = dict[str, Any]
SCORES = ("score", "val_score", "delta", "fidelity", "agreement")
TITLES = {
    "size_bytes": "size, kB",
    "latency_ms_p50": "latency, ms (median)",
    "speedup": "speed-up, ×",
    "compression_ratio": "times smaller",
    "latency_ms_est": "estimated latency, ms",
    "macs": "million MACs",
    "n_params": "thousand parameters",
    "arena_bytes": "working memory, kB",
    "rss_bytes": "peak memory, MB",
}
UNITS = {"size_bytes": 1e-3, "arena_bytes": 1e-3, "rss_bytes": 1e-6, "n_params": 1e-3, "macs": 1e-6}


def scale(key: str, rows: list[Row]) -> float:
    """What a figure is multiplied with to be in its axis' unit."""
    share = all(words.is_share(row["metric"]) for row in rows)
    return 100.0 if key in SCORES and share else UNITS.get(key, 1.0)


def title(key: str, rows: list[Row]) -> str:
    """The axis title with its unit."""
    share = all(words.is_share(row["metric"]) for row in rows)
    metric = next((str(row["metric"]) for row in rows if row["metric"]), "score").replace("_", " ")
    scores = {
        "score": f"test {metric}",
        "val_score": f"validation {metric}",
        "delta": f"{metric} less the baseline's",
        "fidelity": "same answers as its PyTorch model",
        "agreement": "same answers as the float baseline",
    }
    if key in scores:
        unit = ", points" if key == "delta" else ", %"
        return scores[key] + (unit if share else "")
    return TITLES.get(key, words.parameter(key))


def need(rows: list[Row], *keys: str) -> list[Row]:
    """The rows, seeds merged, that have all of `keys`. Raises BadInput when none has."""
    good = [row for row in merge(ok(rows)) if all(value(row, key) is not None for key in keys)]
    if not good:
        raise BadInput(f"no row with status ok has {' and '.join(keys)}: nothing to draw")
    return good


def whiskers(row: Row, key: str, factor: float) -> list[list[float]] | None:
    """The distances to the interval's ends, as matplotlib wants them."""
    low, high = (row.get(end) for end in ENDS.get(key, ("", "")))
    if low is None or high is None:
        return None
    middle = value(row, key)
    return [[max(middle - low, 0) * factor], [max(high - middle, 0) * factor]]


def heading(key: str, rows: list[Row]) -> str:
    """The axis title without its unit, for a figure's title."""
    text = title(key, rows).partition(",")[0].partition(" (")[0]
    return text[:1].upper() + text[1:]
