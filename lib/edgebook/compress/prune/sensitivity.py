"""How much each layer minds losing channels, and the ratios that follow from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from edgebook import rows
from edgebook.compress.prune.dependency_groups import check_rounding, remove, rounded
from edgebook.compress.prune.importance import channel_scores
from edgebook.errors import BadInput
from edgebook.models.macs import count_macs
from edgebook.tasks import Task
from edgebook.training.loop import evaluate

N_HALVINGS = 16  # of the accuracy that may be lost, when MACs are asked for


def scan(
    model: nn.Module, task: Task, *, ratios: list[float], importance: str = "l2", seed: int = 0
) -> list[dict[str, Any]]:  # fmt: skip
    """Validation accuracy and MACs of the model when one group of channels at a time loses each ratio, not fine-tuned.

    One row for every layer and ratio, and for ratio 0: `asked` = {layer, pruning_ratio}, `val_score`, `macs`. Scored in
    PyTorch: these rows guide a choice and are no result. Raises BadInput for a ratio outside [0, 1).
    Source: Li et al. 2017, Pruning filters for efficient ConvNets, section 3.2.
    """
    if bad := [ratio for ratio in ratios if not 0 <= ratio < 1]:
        raise BadInput(f"ratios = {bad}; allowed: 0 <= ratio < 1")
    scores, _ = channel_scores(model, task, importance=importance, seed=seed)
    whole = {name: len(score) for name, score in scores.items()}
    found = []
    for layer in scores:
        for ratio in sorted({0.0, *ratios}):
            kept = whole | {layer: max(1, round((1 - ratio) * whole[layer]))}
            smaller = remove(model, task.input_shape, scores, kept) if ratio else model
            score, macs = evaluate(smaller, task.x_val, task.y_val), count_macs(smaller, task.input_shape)
            found.append(_row(model, task, layer, ratio, score, macs))
    return found


def _row(model: nn.Module, task: Task, layer: str, ratio: float, val_score: float, macs: int) -> dict[str, Any]:
    asked = {"layer": layer, "pruning_ratio": ratio}
    return rows.new_row(
        task=task.name, model=model.spec["model"], family="prune", label=f"{layer} {ratio:g}", asked=asked, metric="accuracy",
        val_score=val_score, macs=macs, runtime="torch", precision="fp32", point_id=rows.short_id(asked),
    )  # fmt: skip


def table(scanned: list[dict[str, Any]]) -> pd.DataFrame:
    """Validation accuracy in percent: a line for each layer, a column for each ratio."""
    flat = [{**row["asked"], "score": round(100 * row["val_score"], 1)} for row in scanned]
    return pd.DataFrame(flat).pivot(index="layer", columns="pruning_ratio", values="score")


def layer_ratios(scanned: list[dict[str, Any]], *, max_loss: float) -> dict[str, float]:
    """For every layer the largest ratio that costs at most `max_loss` of validation accuracy by the scan, between its
    points by straight lines. A layer that recovers at a larger ratio is not believed.
    """
    chosen = {}
    for layer in dict.fromkeys(row["asked"]["layer"] for row in scanned):
        own = [row for row in scanned if row["asked"]["layer"] == layer]
        ratios = [row["asked"]["pruning_ratio"] for row in own]
        lost = np.maximum.accumulate([own[0]["val_score"] - row["val_score"] for row in own])
        lost = lost + np.arange(len(lost)) * 1e-9  # strictly rising, for the look-up
        chosen[layer] = float(np.interp(max_loss, lost, ratios))
    return chosen


def ratios_for_macs(
    model: nn.Module, task: Task, *, scanned: list[dict[str, Any]], macs_ratio: float, importance: str = "l2",
    round_to: int = 1, seed: int = 0,
) -> dict[str, float]:  # fmt: skip
    """Layer ratios that together, with counts that are multiples of `round_to`, remove the share `macs_ratio` of the MACs or
    the least more that rounding allows, every layer losing as much by the scan.

    Raises BadInput when the scan's largest ratios do not reach it.
    """
    check_rounding(round_to)
    scores, _ = channel_scores(model, task, importance=importance, seed=seed)
    dense, low, high = count_macs(model, task.input_shape), 0.0, 1.0

    def removed(ratios: dict[str, float]) -> float:
        kept = rounded({name: (1 - ratios[name]) * len(score) for name, score in scores.items()}, scores, round_to)
        return 1 - count_macs(remove(model, task.input_shape, scores, kept), task.input_shape) / dense

    if (most := removed(layer_ratios(scanned, max_loss=1.0))) < macs_ratio:
        raise BadInput(f"macs_ratio = {macs_ratio}; allowed: up to {most:.2f}, what the scan's largest ratios remove")
    for _ in range(N_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if removed(layer_ratios(scanned, max_loss=middle)) < macs_ratio else (low, middle)
    return layer_ratios(scanned, max_loss=high)
