"""Scores of every combination of two settings."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from edgebook.report import format as fmt
from edgebook.report import theme
from edgebook.report.aggregate import grouped, value
from edgebook.report.plots import axes as shared
from edgebook.rows import Row


def heat_map(rows: list[Row], *, x: str, y: str, title: str = "") -> Figure:
    """The test score of each combination of `y` (lines) and `x` (columns), with the interval of the score below it. Several
    rows of one combination are shown by their mean and the mean of their intervals' ends. A combination without score is empty.

    Raises BadInput when no row has a score, `x` and `y`.
    """
    points = shared.need(rows, "score", x, y)
    shown = fmt.metric(shared.metric_of(points))
    cells = grouped([{"x": value(row, x), "y": value(row, y), **row} for row in points], ("y", "x"))
    scores, texts = pd.DataFrame(), pd.DataFrame()
    for (line, column), group in cells.items():
        middle = sum(row["score"] for row in group) / len(group)
        low, high = (_mean(group, key) for key in ("score_lo", "score_hi"))
        scores.loc[line, column] = middle * shown.scale
        around = fmt.interval(low, high, lambda end: fmt.score(end, shown.name))
        texts.loc[line, column] = f"{fmt.score(middle, shown.name)}\n{around}"
    high = 1.5 + 0.62 * len(scores)
    figure, axes = theme.new_figure(title or f"Test {shown.label}", high=high)
    look = {"linewidths": 2, "linecolor": "white", "cbar": False, "annot_kws": {"fontsize": 8.5}}
    sns.heatmap(scores.astype(float), annot=texts.fillna(""), fmt="", cmap="Blues", ax=axes, **look)
    axes.tick_params(axis="y", rotation=0, length=0)
    axes.tick_params(axis="x", length=0)
    axes.set(xlabel="", ylabel="")
    return figure


def _mean(group: list[Row], key: str) -> float | None:
    values = [row[key] for row in group if row[key] is not None]
    return sum(values) / len(values) if values else None
