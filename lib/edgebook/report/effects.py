"""What one change of a setting does to the test score: paired over items, and over seeds where there are several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from edgebook.metrics import intervals
from edgebook.metrics.verdicts import verdict
from edgebook.report import format as fmt
from edgebook.report.aggregate import grouped, ok, value
from edgebook.report.pairs import difference
from edgebook.rows import Row

SEED = "asked.training_seed"  # of a version that was trained several times; without it all rows count as one training
WORDS = ("hurts", "makes no difference", "helps")


@dataclass(frozen=True)
class Effect:
    """The score with a change minus the score without it.

    label: the change. on: what it was made to; empty: to nothing else. lo, hi: of one training the paired interval over items;
    of several the wider of the mean of those and Student's t interval over trainings. verdict: one of WORDS, by the metric's
    margin, or cannot tell.
    """

    label: str
    on: str
    delta: float
    lo: float
    hi: float
    n_trainings: int
    verdict: str
    metric: str
    margin: float

    @property
    def text(self) -> str:
        """`+0.6 (+0.1 to +1.1)`, in the unit of differences."""
        around = fmt.difference_ends(self.lo, self.hi, self.metric)
        return fmt.with_interval(fmt.difference(self.delta, self.metric), around)

    @property
    def sentence(self) -> str:
        """`T = 4 on top of pruned: +0.6 (+0.1 to +1.1) points, helps.`"""
        unit = fmt.metric(self.metric).difference_unit
        change = f"{self.label} on top of {self.on}" if self.on else f"{self.label} alone"
        return f"{change}: {self.text}{f' {unit}' if unit else ''}, {self.verdict}."


def effect(run_dir: Path, pairs: Sequence[tuple[Row, Row]], *, label: str, on: str) -> Effect:
    """The effect that pairs of rows (with the change, without it) show, one pair per training, each on the same test items."""
    each = [difference(run_dir, *pair) for pair in pairs]
    delta, lo, hi = (sum(figures) / len(each) for figures in zip(*each, strict=True))
    if len(each) > 1:
        over = intervals.over_seeds([figures[0] for figures in each])
        lo, hi = min(lo, over["lo"]), max(hi, over["hi"])
    row = pairs[0][0]
    margin = fmt.margin(row)
    return Effect(label, on, delta, lo, hi, len(each), verdict(lo, hi, margin, WORDS), row["metric"], margin)


def against(run_dir: Path, rows: list[Row], *, control: str) -> list[Effect]:
    """For every version that was trained like the control (a label), its effect on the score: what stands beside a claim.

    Rows of one runtime and number format are compared, those with the same training seed; the trainings of a version share
    its label. Empty where the control has no row.
    """
    versions = grouped(_scored(rows), ("label", "runtime", "precision"))
    effects = []
    for (label, runtime, precision), group in versions.items():
        pairs = _by_seed(group, versions.get((control, runtime, precision), []))
        if label != control and pairs:
            effects.append(effect(run_dir, pairs, label=label, on=control))
    return effects


def combined(run_dir: Path, rows: list[Row], factors: Mapping[str, Any]) -> list[Effect]:
    """What each technique does alone, and on top of each one of the later `factors`, so that every pair is looked at once.

    factors: a column (asked.teacher) -> its level without the technique; every other level is a technique. Rows that lack a
    factor are left out, and so are combinations that were not measured.
    """
    names, bases = list(factors), tuple(factors.values())
    cells: dict[tuple, list[Row]] = {}
    for row in _scored(rows):
        levels = tuple(value(row, name) for name in names)
        if None not in levels:
            cells.setdefault(levels, []).append(row)
    effects = []
    for levels, group in cells.items():
        changed = [place for place, (level, base) in enumerate(zip(levels, bases, strict=True)) if level != base]
        if not 1 <= len(changed) <= 2:
            continue
        first, *rest = changed
        without = (*levels[:first], bases[first], *levels[first + 1 :])
        if pairs := _by_seed(group, cells.get(without, [])):
            on = str(levels[rest[0]]) if rest else ""
            effects.append(effect(run_dir, pairs, label=str(levels[first]), on=on))
    return effects


def _scored(rows: list[Row]) -> list[Row]:
    return [row for row in ok(rows) if row["samples"] and row["role"] in ("version", "control")]


def _by_seed(rows: list[Row], others: list[Row]) -> list[tuple[Row, Row]]:
    """Pairs with the same seed of training."""
    theirs = {value(row, SEED): row for row in others}
    return [(row, theirs[value(row, SEED)]) for row in rows if value(row, SEED) in theirs]


def table(effects: Sequence[Effect]) -> pd.DataFrame:
    """One line per effect: what was changed, on top of what, the difference with its interval, the verdict."""
    if not effects:
        return pd.DataFrame({"": ["nothing to compare: fewer than two versions with a score"]}, index=[""])
    unit = fmt.metric(effects[0].metric).difference_unit
    lines = [
        {
            "change": each.label,
            "compared with": each.on,
            fmt.with_unit("difference", unit): each.text,
            "verdict": each.verdict,
            "trainings": each.n_trainings,
        }
        for each in effects
    ]
    return pd.DataFrame(lines).set_index("change").rename_axis(None)
