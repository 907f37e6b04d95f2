"""The networks behind a run's best files, to be exported again for other targets."""

from __future__ import annotations

from typing import Any

from torch import nn

from edgebook.errors import BadInput
from edgebook.experiment.notebook import Lab
from edgebook.experiment.remeasure import finalists
from edgebook.paths import store_dir
from edgebook.rows import is_control, read_rows
from edgebook.training.store import load


def finalist_models(lab: Lab, *, most: int) -> list[tuple[dict[str, Any], nn.Module]]:
    """At most `most` (row, network) of this run's task, model and seed, the best validation scores first.

    Each network once, the baseline (the lab's first point) not among them; empty where nothing ran before. What only a
    file holds, such as ranges found in training, is not in a network: it is quantized anew.
    """
    try:
        rows = read_rows(lab.run_dir)
    except BadInput:
        return []
    mine = (lab.task.name, lab["model"], lab["seed"])
    own = [row for row in rows if (row["task"], row["model"], row["seed"]) == mine and row["notebook"] < lab.notebook]
    own = [row for row in own if row["checkpoint"] and (store_dir() / f"{row['checkpoint']}.pt").exists()]
    own = [row for row in own if not is_control(row)]
    taken, chosen = {lab.points[0].model.key}, []
    for row in sorted(finalists(own, most=len(own)), key=lambda row: -(row["val_score"] or 0)):
        if row["checkpoint"] not in taken and len(chosen) < most:
            taken.add(row["checkpoint"])
            chosen.append((row, load(store_dir() / f"{row['checkpoint']}.pt")))
    return chosen


def method_of(row: dict[str, Any]) -> str:
    """How a row's network was made, without the number format of its file."""
    return row["method"].removesuffix(f"+{row['precision']}")
