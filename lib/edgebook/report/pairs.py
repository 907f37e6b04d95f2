"""Two methods side by side: the same items, the same session, the same cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from edgebook.metrics import intervals as stats
from edgebook.report import format as words
from edgebook.report import samples
from edgebook.report.aggregate import ok, value

Row = dict[str, Any]
NEAR = 0.05  # shares that lie farther apart are not the same cost


def differences(
    run_dir: Path, rows: list[Row], *, ours: str, theirs: str, at: str = "extra.macs_removed"
) -> list[dict[str, Any]]:
    """For every file of method `ours` the file of method `theirs` in the same runtime, format and seed that is nearest in
    `at`, and at most NEAR away: `ours`, `theirs` (rows), `delta` (score of ours minus theirs, paired on the items that both
    answered), `lo`, `hi`, `verdict`. Empty where one of the two is missing.
    """
    same = ("task", "model", "runtime", "precision", "seed", "batch_size")
    good = [row for row in ok(rows) if row["samples"] and value(row, at) is not None]
    found = []
    for row in [row for row in good if row["method"] == ours]:
        others = [one for one in good if one["method"] == theirs and all(one[key] == row[key] for key in same)]
        others = [one for one in others if abs(value(one, at) - value(row, at)) <= NEAR]
        if others:
            other = min(others, key=lambda one: abs(value(one, at) - value(row, at)))
            delta, lo, hi = stats.paired_difference(*_correct(run_dir, row, other))
            verdict = stats.verdict(lo, hi)
            found.append({"ours": row, "theirs": other, "delta": delta, "lo": lo, "hi": hi, "verdict": verdict})
    return found


def table(run_dir: Path, rows: list[Row], *, ours: str, theirs: str, at: str = "extra.macs_removed") -> pd.DataFrame:
    """`differences` as text: who, against whom, where both lie, the difference in points, and the times."""
    lines = [
        {
            "version": words.name(one["ours"]),
            "against": words.name(one["theirs"]),
            "runtime": one["ours"]["runtime"],
            words.parameter(at): f"{value(one['ours'], at):.0%} and {value(one['theirs'], at):.0%}",
            "difference, points": words.with_interval(
                words.difference(one["delta"]), words.interval(one["lo"], one["hi"], words.difference)
            ),
            "verdict": one["verdict"],
            "faster than the baseline": f"{words.speed(one['ours']['speedup'])} and {words.speed(one['theirs']['speedup'])}",
        }
        for one in differences(run_dir, rows, ours=ours, theirs=theirs, at=at)
    ]
    return pd.DataFrame(lines or [{"": f"nothing to compare: no files of {ours} beside {theirs}"}])


def _correct(run_dir: Path, a: Row, b: Row) -> tuple[np.ndarray, np.ndarray]:
    """Which of the items that both scored each answered right, bool (n,), (n,)."""
    (right_a, items_a), (right_b, items_b) = (_right(run_dir, row) for row in (a, b))
    _, mine, theirs = np.intersect1d(items_a, items_b, return_indices=True)
    return right_a[mine], right_b[theirs]


def _right(run_dir: Path, row: Row) -> tuple[np.ndarray, np.ndarray]:
    found, labels = samples.outputs(run_dir, row)
    return found.argmax(1) == labels, samples.items(run_dir, row)
