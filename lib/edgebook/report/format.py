"""Figures as people read them: percent, points, kB, ms, and a verdict or a status in plain words."""

from __future__ import annotations

from typing import Any

NONE = "–"
SHARES = ("accuracy", "balanced_accuracy", "f1", "macro_f1", "top1")  # scores in [0, 1], shown in percent
REASONS = {
    "failed": "failed",
    "unsupported": "this target cannot run it",
    "skipped": "skipped, the runtime is not installed here",
}


def is_share(metric: str | None) -> bool:
    """Whether the score is a share of the items, shown in percent and its differences in points."""
    return metric in SHARES or metric is None


def score(value: float | None, metric: str | None = "accuracy") -> str:
    """`92.2` (percent, without the sign) for a share, `0.922` for any other metric."""
    if value is None:
        return NONE
    return f"{100 * value:.1f}" if is_share(metric) else f"{value:.3f}"


def difference(value: float | None, metric: str | None = "accuracy") -> str:
    """`+0.3` or `−0.3`, in points for a share."""
    if value is None:
        return NONE
    shown = f"{100 * value:+.1f}" if is_share(metric) else f"{value:+.3f}"
    return (shown if shown.strip("+-0.") else shown[1:]).replace("-", "−")  # no sign on a zero


def digits(value: float | None, count: int = 3) -> str:
    """About `count` significant digits, never scientific and never fewer than the integer part: 0.0431, 1.23, 412."""
    if value is None:
        return NONE
    size = abs(value)
    decimals = 0
    while size and size < 10 ** (count - 1) and decimals < count + 3:
        size, decimals = size * 10, decimals + 1
    return f"{value:.{decimals}f}"


def kilobytes(n_bytes: float | None) -> str:
    """Bytes in kB (1000 bytes), one decimal below 100: `42.3`, `1 204`."""
    if n_bytes is None:
        return NONE
    kb = n_bytes / 1000
    return f"{kb:.1f}" if kb < 100 else f"{kb:,.0f}".replace(",", " ")


def size(n_bytes: float | None) -> str:
    """With its unit: `42.3 kB`, `11.2 MB`."""
    if n_bytes is None:
        return "size not known"
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 1e6 else f"{kilobytes(n_bytes)} kB"


def times(value: float | None, decimals: int = 1) -> str:
    """A ratio: `3.1` or `0.87`; `decimals` holds from 1 to 10, below there is one more, above one less."""
    if value is None:
        return NONE
    return f"{value:.{max(decimals - (value >= 9.95), 0)}f}" if value >= 0.95 else f"{value:.2f}"


def speed(value: float | None) -> str:
    """A speed-up, fine enough to see its 3 % margin: `1.04`, `3.12`, `12.4`."""
    return times(value, 2)


def interval(low: float | None, high: float | None, show: Any) -> str:
    """`91.7–92.7`, with `to` between signed numbers; empty when an end is missing."""
    if low is None or high is None:
        return ""
    low, high = show(low), show(high)
    return f"{low} to {high}" if low[0] in "+−" or high[0] in "+−" else f"{low}–{high}"


def with_interval(middle: str, around: str) -> str:
    """`92.2 (91.7–92.7)`."""
    return f"{middle} ({around})" if around else middle


def reason(row: dict[str, Any]) -> str:
    """Why this row has no figures: `failed: <error>`; empty for an ok row."""
    if row["status"] == "ok":
        return ""
    why = REASONS.get(row["status"], row["status"])
    error = " ".join(str(row["error"]).split()) if row.get("error") else ""
    return f"{why}: {error}" if error else why


def name(row: dict[str, Any]) -> str:
    """What people call this version: its label, else its method."""
    return str(row.get("label") or row.get("method") or row.get("point_id") or row.get("row_id") or "unnamed")


def parameter(key: str) -> str:
    """A column as an axis title: `asked.pruning_ratio` -> `pruning ratio`."""
    return key.rpartition(".")[2].replace("_", " ")
