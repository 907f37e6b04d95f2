"""Figures as people read them: a score in its metric's unit, kB, ms, a verdict or a status in plain words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from edgebook.metrics import METRICS, Metric
from edgebook.metrics.verdicts import SCORE_MARGIN
from edgebook.rows import Row

NONE = "–"
STATUS_TEXTS = {"failed": "failed", "unsupported": "this target cannot run it", "skipped": "skipped"}


def metric(name: str | None) -> Metric:
    """How a score is shown: the metric's record; for one that this version lacks, plain numbers with three decimals."""
    return METRICS[name] if name in METRICS else _plain(name or "score")


@lru_cache
def _plain(name: str) -> Metric:
    shown = {"scale": 1.0, "unit": "", "difference_unit": "", "decimals": 3}
    return replace(next(iter(METRICS.values())), name=name, label=name.replace("_", " "), **shown)


def score(value: float | None, metric_name: str | None, *, unit: bool = False) -> str:
    """A score in its metric's unit: `92.2`, or `92.2 %` with `unit`."""
    if value is None:
        return NONE
    shown = metric(metric_name)
    return f"{value * shown.scale:.{shown.decimals}f}".replace("-", "−") + (f" {shown.unit}" if unit and shown.unit else "")


def difference(value: float | None, metric_name: str | None, *, unit: bool = False) -> str:
    """A difference of two scores with its sign: `+0.3`, or `−0.3 points` with `unit`; a zero has no sign."""
    if value is None:
        return NONE
    shown = metric(metric_name)
    text = f"{value * shown.scale:+.{shown.decimals}f}"
    text = (text if text.strip("+-0.") else text[1:]).replace("-", "−")
    return text + (f" {shown.difference_unit}" if unit and shown.difference_unit else "")


def with_unit(text: str, unit: str) -> str:
    """A head or an axis title with its unit: `accuracy, %`; without a comma where there is none."""
    return f"{text}, {unit}" if unit else text


def spread(value: float, metric_name: str | None) -> str:
    """A standard deviation or a margin in the unit of differences, without a sign: `0.3`."""
    shown = metric(metric_name)
    return f"{value * shown.scale:.{shown.decimals}f}"


def margin(row: Row) -> float:
    """The difference of scores that does not matter: the row's, where it has none half a point."""
    return SCORE_MARGIN if row["margin"] is None else row["margin"]


def margin_text(row: Row) -> str:
    """`0.5 points`: the margin in the unit of differences."""
    unit = metric(row["metric"]).difference_unit
    return spread(margin(row), row["metric"]) + (f" {unit}" if unit else "")


def share(value: float | None) -> str:
    """A share in percent, without the sign: `92.2`."""
    return NONE if value is None else f"{100 * value:.1f}"


def digits(value: float | None, count: int = 3) -> str:
    """About `count` significant digits, never scientific and never fewer than the integer part: 0.0431, 1.23, 412."""
    if value is None:
        return NONE
    size = abs(value)
    decimals = 0
    while size and size < 10 ** (count - 1) and decimals < count + 3:
        size, decimals = size * 10, decimals + 1
    return f"{value:.{decimals}f}"


def count(value: float | None) -> str:
    """A whole number in groups of three: `1 204`."""
    return NONE if value is None else f"{value:,.0f}".replace(",", " ")


def kilobytes(n_bytes: float | None) -> str:
    """Bytes in kB (1000 bytes), one decimal below 100: `42.3`, `1 204`."""
    if n_bytes is None:
        return NONE
    kb = n_bytes / 1000
    return f"{kb:.1f}" if kb < 100 else count(kb)


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


def interval(low: float | None, high: float | None, show: Callable[[float], str]) -> str:
    """`91.7–92.7`, with `to` between signed numbers; empty when an end is missing."""
    if low is None or high is None:
        return ""
    first, last = show(low), show(high)
    return f"{first} to {last}" if first[0] in "+−" or last[0] in "+−" else f"{first}–{last}"


def with_interval(middle: str, around: str) -> str:
    """`92.2 (91.7–92.7)`."""
    return f"{middle} ({around})" if around else middle


def score_interval(row: Row) -> str:
    """The score's interval in the unit of scores: `91.7–92.7`."""
    return interval(row["score_lo"], row["score_hi"], lambda end: score(end, row["metric"]))


def difference_interval(row: Row) -> str:
    """The interval of the difference from the baseline: `−0.8 to +0.1`."""
    return difference_ends(row["delta_lo"], row["delta_hi"], row["metric"])


def difference_ends(low: float | None, high: float | None, metric_name: str | None) -> str:
    """The interval of any difference of two scores, in the unit of differences: `−0.8 to +0.1`."""
    return interval(low, high, lambda end: difference(end, metric_name))


def reason(row: Row) -> str:
    """Why this row has no figures: `failed: <error>`; empty for an ok row."""
    if row["status"] == "ok":
        return ""
    error = " ".join(str(row["error"]).split()) if row["error"] else ""
    return ": ".join(part for part in (STATUS_TEXTS.get(row["status"], row["status"]), error) if part)


def name(row: Row) -> str:
    """What people call this version: its label, else its method."""
    return str(row["label"] or row["method"] or row["point_id"] or row["row_id"] or "unnamed")


def where(row: Row, separator: str = ", ") -> str:
    """Runtime and number format, as far as they are known: `litert, int8-static`."""
    return separator.join(part for part in (row["runtime"], row["precision"]) if part)


def parameter(key: str) -> str:
    """A column as an axis title: `asked.pruning_ratio` -> `pruning ratio`."""
    return key.rpartition(".")[2].replace("_", " ")
