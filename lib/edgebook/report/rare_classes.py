"""Rare classes: where one score hides them, and what is said about that."""

from __future__ import annotations

from edgebook.metrics.classification import UNEVEN
from edgebook.report import format as fmt
from edgebook.report.aggregate import value
from edgebook.rows import Row

HIDDEN = 0.02  # macro-F1 lost beyond what the score lost, from which it is told
ABOVE_EVEN = 1.5  # times the share of an even class, that of the largest from which a table shows the classes


def has_uneven_classes(row: Row) -> bool:
    """Whether a table should show the classes too: the best constant answer scores well, or some classes are rare."""
    return _favours_one_class(row) or (value(row, "extra.unevenness") or 0) >= UNEVEN


def misleading(row: Row) -> list[str]:
    """A sentence where always giving the most frequent class scores well, though others are rare: the score alone misleads."""
    if not _favours_one_class(row) or (value(row, "extra.unevenness") or 0) < UNEVEN:
        return []
    label, constant = fmt.metric(row["metric"]).label, fmt.score(row["chance"], row["metric"], unit=True)
    figures = f"macro-F1 is {fmt.share(value(row, 'extra.macro_f1'))} %"
    if (worst := value(row, "extra.worst_class_accuracy")) is not None:
        figures += f", the worst class {fmt.share(worst)} %"
    return [
        f"Here {label} alone misleads, since always giving the most frequent class would have {constant}: {figures}. "
        "With `metric: balanced_accuracy` or `macro_f1` in the description of the data every class counts as much."
    ]


def lost_classes(row: Row, baseline: Row | None) -> list[str]:
    """A sentence where macro-F1 fell by more than the score did: a rare class is being lost."""
    before, after = (other and value(other, "extra.macro_f1") for other in (baseline, row))
    if baseline is None or None in (before, after) or before - after <= HIDDEN + max(0.0, baseline["score"] - row["score"]):
        return []
    label = fmt.metric(row["metric"]).label
    text = f"Its classes lose more than its {label}: macro-F1 fell from {fmt.share(before)} to {fmt.share(after)} %"
    worst = [value(other, "extra.worst_class_accuracy") for other in (baseline, row)]
    worst_text = "" if None in worst else f", the worst class from {fmt.share(worst[0])} to {fmt.share(worst[1])} %"
    return [f"{text}{worst_text}."]


def _favours_one_class(row: Row) -> bool:
    n_classes = len(value(row, "extra.class_accuracy") or [])
    return n_classes > 0 and row["chance"] is not None and row["chance"] * n_classes > ABOVE_EVEN
