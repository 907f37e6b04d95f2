"""Rows with `extra.robustness` -> where compression costs robustness, and where it does not."""

from __future__ import annotations

from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from edgebook.report import format as fmt
from edgebook.report import theme
from edgebook.report.aggregate import ok
from edgebook.rows import Row

CLEAN = "clean"
Scores = dict[str, dict[str, Any]]


def table(rows: list[Row], *, severity: int = 3) -> pd.DataFrame:
    """One line per file: its clean score, then the score under each corruption at a severity, with the paired difference from
    the first file and its interval. Text.
    """
    lines = []
    for row in ok(rows):
        scores, name = _scores(row), row["metric"]
        cells = {split: scores[split] for split in (CLEAN, *(f"{each} {severity}" for each in corruptions(rows)))}
        lines.append({"version": fmt.name(row), **{split: _cell(values, name) for split, values in cells.items()}})
    return pd.DataFrame(lines).set_index("version").rename_axis(None)


def details(rows: list[Row], key: str = "calibration_error", *, severity: int = 3) -> pd.DataFrame:
    """The same for one of the metric's details, in percent or points; empty where the metric has no such detail."""
    lines = []
    for row in ok(rows):
        cells = {split: _scores(row)[split].get(key) for split in (CLEAN, *(f"{each} {severity}" for each in corruptions(rows)))}
        if any(cell is not None for cell in cells.values()):
            lines.append({"version": fmt.name(row), **{split: fmt.share(cell) for split, cell in cells.items()}})
    return pd.DataFrame(lines).set_index("version").rename_axis(None) if lines else pd.DataFrame()


def curves(rows: list[Row], *, title: str = "Score by severity") -> Figure:
    """One panel per corruption: the score of each file against the severity, 0 is clean."""
    names, shown = corruptions(rows), fmt.metric(rows[0]["metric"])
    points = [
        {"corruption": each, "severity": severity, "score": values["score"] * shown.scale, "version": fmt.name(row)}
        for row in ok(rows)
        for each in names
        for severity, values in _by_severity(_scores(row), each).items()
    ]
    frame = pd.DataFrame(points)
    figure, panels = theme.new_figure(title, wide=2.1 * len(names) + 0.8, high=3.2, panels=len(names))
    palette = theme.colours(list(dict.fromkeys(frame["version"])))
    for axes, name in zip([panels] if len(names) == 1 else panels, names, strict=True):
        part = frame[frame["corruption"] == name]
        sns.lineplot(part, x="severity", y="score", hue="version", palette=palette, legend=False, ax=axes)
        axes.set_title(name, fontsize=9, fontweight="normal", loc="center")
        axes.set(xlabel="severity", ylabel=f"{shown.label}, {shown.unit}" if axes.get_subplotspec().is_first_col() else "")
        axes.set_ylim(frame["score"].min() - 2, frame["score"].max() + 2)
    handles = [figure.axes[0].plot([], [], color=colour, label=name)[0] for name, colour in palette.items()]
    figure.legend(handles=handles, loc="outside lower left", ncols=3)
    return figure


def notes(rows: list[Row]) -> list[str]:
    """One sentence per compressed file: under which corruptions it loses more against the first file than on clean items.

    A corruption counts when the interval of its paired difference lies below that of the clean difference, at any severity.
    """
    base, *others = ok(rows)
    sentences = []
    for row in others:
        scores, places = _scores(row), []
        for name in corruptions(rows):
            worse = [s for s, values in _by_severity(scores, name).items() if s and _costs(values, scores[CLEAN])]
            places += [f"{name} from severity {min(worse)}"] if worse else []
        where = ", ".join(places)
        cost = (
            f"loses more than on clean items under {where}"
            if where
            else "loses no more than on clean items, as far as can be told"
        )
        sentences.append(f"{fmt.name(row)}: against {fmt.name(base)} it {cost}.")
    return sentences


def corruptions(rows: list[Row]) -> list[str]:
    """The names of the corruptions, in order."""
    splits = [split for row in ok(rows)[:1] for split in _scores(row) if split != CLEAN]
    return list(dict.fromkeys(split.rpartition(" ")[0] for split in splits))


def _scores(row: Row) -> Scores:
    return row["extra"]["robustness"]


def _by_severity(scores: Scores, name: str) -> dict[int, dict[str, Any]]:
    here = {int(split.rpartition(" ")[2]): values for split, values in scores.items() if split.rpartition(" ")[0] == name}
    return {0: scores[CLEAN], **here}


def _costs(values: dict[str, Any], clean: dict[str, Any]) -> bool:
    return values["delta_hi"] < clean["delta_lo"]


def _cell(values: dict[str, Any], metric: str) -> str:
    if "delta" not in values:
        return fmt.score(values["score"], metric)
    ends = fmt.interval(values["delta_lo"], values["delta_hi"], lambda end: fmt.difference(end, metric))
    return f"{fmt.score(values['score'], metric)} ({fmt.difference(values['delta'], metric)}, {ends})"
