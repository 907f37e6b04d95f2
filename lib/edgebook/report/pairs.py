"""Two methods side by side: the same items, the same session, the same cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from edgebook.metrics.verdicts import verdict
from edgebook.report import format as fmt
from edgebook.report.aggregate import ok, value
from edgebook.report.samples import samples
from edgebook.rows import CASE, Row

NEAR = 0.05  # shares that lie farther apart are not the same cost
SAME = (*CASE, "runtime", "precision", "seed", "batch_size")


def differences(
    run_dir: Path, rows: list[Row], *, ours: str, theirs: str, at: str = "extra.macs_removed"
) -> list[dict[str, Any]]:
    """For every file of method `ours` the file of method `theirs` in the same runtime, format and seed that is nearest in
    `at`, and at most NEAR away: `ours`, `theirs` (rows), `delta` (score of ours minus theirs, paired on the items that both
    were scored on), `lo`, `hi`, `verdict`. Empty where one of the two is missing.
    """
    usable = [row for row in ok(rows) if row["samples"] and value(row, at) is not None]
    pairs = []
    for row in [row for row in usable if row["method"] == ours]:
        others = [other for other in usable if other["method"] == theirs and all(other[key] == row[key] for key in SAME)]
        other = min(others, key=lambda other: abs(value(other, at) - value(row, at)), default=None)
        if other and abs(value(other, at) - value(row, at)) <= NEAR:
            delta, lo, hi = difference(run_dir, row, other)
            word = verdict(lo, hi, fmt.margin(row))
            pairs.append({"ours": row, "theirs": other, "delta": delta, "lo": lo, "hi": hi, "verdict": word})
    return pairs


def difference(run_dir: Path, a: Row, b: Row) -> tuple[float, float, float]:
    """(delta, lo, hi): score of `a` minus score of `b`, as their metric pairs them, on the items that both were scored on."""
    of_a, of_b = samples(run_dir, a), samples(run_dir, b)
    _, places_a, places_b = np.intersect1d(of_a.items, of_b.items, return_indices=True)
    scores = of_a.item_scores[places_a], of_b.item_scores[places_b]
    return fmt.metric(a["metric"]).difference(*scores, of_a.targets[places_a])


def table(run_dir: Path, rows: list[Row], *, ours: str, theirs: str, at: str = "extra.macs_removed") -> pd.DataFrame:
    """`differences` as text: which version, against which, where both lie, the difference of their scores, and the speed-ups."""
    pairs = differences(run_dir, rows, ours=ours, theirs=theirs, at=at)
    if not pairs:
        return pd.DataFrame({"": [f"nothing to compare: no files of {ours} beside {theirs}"]}, index=[""])
    return pd.DataFrame([_line(pair, at) for pair in pairs])


def _line(pair: dict[str, Any], at: str) -> dict[str, str]:
    mine, theirs = pair["ours"], pair["theirs"]
    around = fmt.difference_ends(pair["lo"], pair["hi"], mine["metric"])
    unit = fmt.metric(mine["metric"]).difference_unit
    return {
        "version": fmt.name(mine),
        "against": fmt.name(theirs),
        "runtime": mine["runtime"],
        fmt.parameter(at): f"{value(mine, at):.0%} and {value(theirs, at):.0%}",
        fmt.with_unit("difference", unit): fmt.with_interval(fmt.difference(pair["delta"], mine["metric"]), around),
        "verdict": pair["verdict"],
        "speed-up": f"{fmt.speed(mine['speedup'])} and {fmt.speed(theirs['speedup'])}",
    }
