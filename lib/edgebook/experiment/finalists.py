"""The best files of a run, and the networks behind them: what is measured again together, or exported for other targets."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from edgebook.errors import BadInput
from edgebook.experiment.notebook import Notebook
from edgebook.metrics.pareto import pareto
from edgebook.rows import read_rows
from edgebook.training.store import entry_path, load

Row = dict[str, Any]
COSTS = ("size_bytes", "latency_ms_p50")


def finalists(rows: list[Row], most: int = 8) -> list[Row]:
    """For every task, model and seed: the float baselines, and at most `most` versions that no other beats on validation score
    and size or on validation score and latency, the best scores first. Each file once.
    """
    chosen = []
    for setting in dict.fromkeys(map(setting_of, rows)):
        files: dict[tuple, Row] = {}
        for row in rows:
            if setting_of(row) == setting and row["status"] == "ok" and row["artifact"]:
                files.setdefault((row["sha256"], row["runtime"]), row)
        bases = [row for row in files.values() if is_float_baseline(row)]
        versions = [row for row in files.values() if row["role"] == "version" and row["val_score"] is not None]
        front = {row["row_id"]: row for cost in COSTS for row in _front(versions, cost)}
        chosen += bases + sorted(front.values(), key=lambda row: -row["val_score"])[:most]
    return chosen


def finalist_models(nb: Notebook, *, most: int) -> list[tuple[Row, nn.Module]]:
    """At most `most` (row, network) of this run's task, model and seed, the best validation scores first.

    Each network once, the baseline not among them; empty where nothing ran before. What only a file holds, such as ranges
    found in training, is not in a network: it is quantized anew.
    """
    try:
        rows = read_rows(nb.run_dir)
    except BadInput:
        return []
    here = (nb.task.name, nb.model_label, nb["seed"])
    rows = [row for row in rows if setting_of(row) == here and row["notebook"] != nb.stem and row["role"] == "version"]
    rows = [row for row in rows if row["checkpoint"] and entry_path(row["checkpoint"]).exists()]
    chosen: dict[str, Row] = {}
    for row in finalists(rows, most=len(rows)):
        if row["checkpoint"] != nb.versions[0].model.key:
            chosen.setdefault(row["checkpoint"], row)
    return [(row, load(entry_path(key))) for key, row in list(chosen.items())[:most]]


def setting_of(row: Row) -> tuple:
    """What rows share that compete with each other."""
    return row["task"], row["model"], row["seed"]


def is_float_baseline(row: Row) -> bool:
    """Whether a row is the float network as trained, in whichever runtime (eager PyTorch too)."""
    return row["family"] == "baseline" and row["precision"] == "fp32"


def method_of(row: Row) -> str:
    """How a row's network was made, without the number format of its file."""
    return row["method"].removesuffix(f"+{row['precision']}")


def _front(rows: list[Row], cost: str) -> list[Row]:
    known = [row for row in rows if row[cost] is not None]
    mask = pareto(np.array([[row["val_score"], row[cost]] for row in known]), (True, False)) if known else []
    return [row for row, is_on_front in zip(known, mask, strict=True) if is_on_front]
