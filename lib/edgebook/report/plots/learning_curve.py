"""Loss and validation score of one training, by epoch."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from edgebook.errors import BadInput
from edgebook.metrics import Metric
from edgebook.report import format as fmt
from edgebook.report import theme


def learning_curve(history: list[dict[str, float]], metric: Metric, *, title: str = "Learning curve") -> Figure:
    """Training loss and validation score by epoch, from dicts with `epoch`, `loss`, `val_score`; a value that is absent is a gap.

    metric: what the score is, `task.metric`. Raises BadInput for an empty history.
    """
    if not history:
        raise BadInput("the history is empty: nothing was trained in this execution")
    figure, (left, right) = theme.new_figure(title, high=3.0, panels=2)
    frame = pd.DataFrame(history, columns=["epoch", "loss", "val_score"])
    frame["epoch"] = frame["epoch"].fillna(pd.Series(range(1, len(frame) + 1)))
    frame["val_score"] = frame["val_score"].astype(float) * metric.scale
    score = fmt.with_unit(f"validation {metric.label}", metric.unit)
    panels = ((left, "loss", "training loss", theme.SERIES[0]), (right, "val_score", score, theme.SERIES[1]))
    for axes, key, label, colour in panels:
        marker = "o" if len(frame) < 3 else None
        sns.lineplot(frame, x="epoch", y=key, color=colour, marker=marker, errorbar=None, ax=axes)
        axes.set(xlabel="epoch", ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    return figure
