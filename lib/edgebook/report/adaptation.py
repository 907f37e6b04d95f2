"""What training on the device did: a line for each way, before and after, on the shifted and on the original data."""

from __future__ import annotations

from typing import Any

import pandas as pd

from edgebook.report import format as fmt

COLUMNS = {
    "steps": "steps",
    "bytes": "file of a step, bytes",
    "instructions": "instructions per step",
    "weights": "weights differ by",
}
DATA = ("shifted data", "original data")
Line = dict[str, Any]


def table(lines: list[Line], metric: str) -> pd.DataFrame:
    """Text: scores with their intervals in the unit of `metric`, steps, bytes, instructions. lines: as
    `experiment.adapt` gives them."""
    shown = fmt.metric(metric)
    heads = {name: fmt.with_unit(f"{shown.label} on {name}", shown.unit) for name in DATA}
    names = pd.Index([line["trained by"] for line in lines])
    return pd.DataFrame([_cells(line, metric, heads) for line in lines], index=names)


def _cells(line: Line, metric: str, heads: dict[str, str]) -> dict[str, str]:
    scores = {head: _score(line[name], metric) for name, head in heads.items()}
    counts = {COLUMNS[name]: fmt.count(line.get(name)) for name in ("steps", "bytes", "instructions")}
    apart = line.get("weights")
    return scores | counts | {COLUMNS["weights"]: fmt.NONE if apart is None else f"{apart:.1e}"}


def _score(score: tuple[float, float, float], metric: str) -> str:
    value, low, high = (fmt.score(part, metric) for part in score)
    return f"{value} ({low} to {high})"
