"""How much each layer loses with fewer channels, and the ratios per layer that follow from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from edgebook import rows
from edgebook.compress.prune.dependency_groups import check_rounding, remove, round_channels
from edgebook.compress.prune.importance import rank_channels
from edgebook.errors import BadInput
from edgebook.metrics import METRICS
from edgebook.models.macs import count_macs
from edgebook.naming import short_id
from edgebook.tasks.task import Task
from edgebook.training.loop import evaluate

N_HALVINGS = 16  # of the score that may be lost, when a share of the MACs is requested
Row = dict[str, Any]


def scan(model: nn.Module, task: Task, *, ratios: list[float], importance: str = "l2", seed: int = 0) -> list[Row]:
    """Validation score and MACs of the model when one group of channels at a time loses each ratio, not fine-tuned.

    One row per layer and ratio, ratio 0 included: `asked` = {layer, pruning_ratio}, `val_score`, `macs`. Scored in PyTorch:
    these rows guide a choice and are references. Raises BadInput for a ratio outside [0, 1).
    Source: Li et al. 2017, Pruning filters for efficient ConvNets, section 3.2.
    """
    if bad := [ratio for ratio in ratios if not 0 <= ratio < 1]:
        raise BadInput(f"ratios = {bad}; allowed: 0 <= ratio < 1")
    ranking = rank_channels(model, task, importance=importance, seed=seed)
    scanned = []
    for layer, n_channels in ranking.channels.items():
        for ratio in sorted({0.0, *ratios}):
            remaining = ranking.channels | {layer: max(1, round((1 - ratio) * n_channels))}
            smaller = remove(model, task.input_shape, ranking, remaining) if ratio else model
            figures = {"val_score": evaluate(smaller, task), "macs": count_macs(smaller, task.input_shape)}
            scanned.append(_row(model, task, {"layer": layer, "pruning_ratio": ratio}, figures))
    return scanned


def _row(model: nn.Module, task: Task, asked: Row, figures: Row) -> Row:
    return rows.new_row(
        task=task.name,
        model=model.spec["model"],
        role="reference",
        family="prune",
        label=f"{asked['layer']} {asked['pruning_ratio']:g}",
        asked=asked,
        metric=task.metric.name,
        runtime="torch",
        precision="fp32",
        point_id=short_id(asked),
        **figures,
    )


def table(scanned: list[Row]) -> pd.DataFrame:
    """Validation scores in the metric's unit: one line per layer, one column per ratio."""
    metric = METRICS[scanned[0]["metric"]]
    flat = [{**row["asked"], "score": round(metric.scale * row["val_score"], metric.decimals)} for row in scanned]
    return pd.DataFrame(flat).pivot(index="layer", columns="pruning_ratio", values="score")


def layer_ratios(scanned: list[Row], *, max_loss: float) -> dict[str, float]:
    """Per layer the largest ratio that loses at most `max_loss` of the validation score by the scan, interpolated linearly.

    A score that recovers at a larger ratio is taken for chance: the loss never falls with the ratio.
    """
    chosen = {}
    for layer, curve in _curves(scanned).items():
        ratios, lost = zip(*curve.items(), strict=True)
        rising = np.array(lost) + np.arange(len(lost)) * 1e-9  # strictly, for the interpolation
        chosen[layer] = float(np.interp(max_loss, rising, ratios))
    return chosen


def _curves(scanned: list[Row]) -> dict[str, dict[float, float]]:
    """Layer -> ratio -> the validation score lost at it or at any smaller ratio."""
    curves = {}
    for layer in dict.fromkeys(row["asked"]["layer"] for row in scanned):
        scores = {row["asked"]["pruning_ratio"]: row["val_score"] for row in scanned if row["asked"]["layer"] == layer}
        lost = np.maximum.accumulate([scores[min(scores)] - score for score in scores.values()])
        curves[layer] = dict(zip(scores, lost.tolist(), strict=True))
    return curves


def ratios_for_macs(
    model: nn.Module,
    task: Task,
    *,
    scanned: list[Row],
    macs_ratio: float,
    importance: str = "l2",
    round_to: int = 1,
    seed: int = 0,
) -> dict[str, float]:
    """Ratios per layer that together remove the share `macs_ratio` of the MACs, every layer losing as much by the scan.

    With counts that are multiples of `round_to`, the share is reached or exceeded by the least that rounding allows. Raises
    BadInput when the largest scanned ratios do not reach it.
    """
    check_rounding(round_to)
    ranking, dense = rank_channels(model, task, importance=importance, seed=seed), count_macs(model, task.input_shape)

    def removed(ratios: dict[str, float]) -> float:
        counts = {name: (1 - ratios[name]) * n for name, n in ranking.channels.items()}
        smaller = remove(model, task.input_shape, ranking, round_channels(counts, ranking.channels, round_to))
        return 1 - count_macs(smaller, task.input_shape) / dense

    low, high = 0.0, max(max(curve.values()) for curve in _curves(scanned).values()) * (1 + 1e-6) + 1e-6
    if (most := removed(layer_ratios(scanned, max_loss=high))) < macs_ratio:
        raise BadInput(f"macs_ratio = {macs_ratio}; allowed: up to {most:.2f}, what the largest scanned ratios remove")
    for _ in range(N_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if removed(layer_ratios(scanned, max_loss=middle)) < macs_ratio else (low, middle)
    return layer_ratios(scanned, max_loss=high)
