"""Is a compressed file still to be trusted off the clean test set? Its scores on corrupted items beside the baseline's."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from edgebook import rows as row_files
from edgebook.errors import BadInput
from edgebook.experiment.finalists import is_float_baseline
from edgebook.experiment.notebook import Notebook
from edgebook.measure import columns
from edgebook.measure.measured import Measured
from edgebook.measure.session import measure_files
from edgebook.metrics import Metric
from edgebook.metrics.verdicts import verdict
from edgebook.naming import short_id
from edgebook.rows import read_rows
from edgebook.runtimes.base import Artifact
from edgebook.tasks.corruptions import ATTACK, SEVERITIES, check, corrupt
from edgebook.tasks.task import Task, spread_items
from edgebook.vocabulary import precision

Row = dict[str, Any]
CLEAN = "clean"
EPSILONS = (0.02, 0.05, 0.1, 0.2, 0.4)  # of the items' standard deviation, severities 1 to 5


def one_of_each_family(nb: Notebook, runtimes: list[str]) -> list[Row]:
    """The float baseline of this run's case and seed in the first of the runtimes, then of each family the version with the
    best validation score among its smaller half, weights of fewer than 8 bits apart.

    A family's files are those of the first runtime in which it has any. Raises BadInput where nothing ran before.
    """
    here = [row for row in read_rows(nb.run_dir) if _is_usable(row, nb, runtimes)]
    bases = [row for row in here if is_float_baseline(row) and row["runtime"] == runtimes[0]]
    if not bases:
        raise BadInput(f"{nb.run_dir.name}: no float baseline in {runtimes[0]} for {nb.task.name} and {nb.model_label}")
    groups: dict[tuple[str, bool], list[Row]] = {}
    for row in sorted((row for row in here if row["role"] == "version"), key=lambda row: row["size_bytes"]):
        groups.setdefault((row["family"], precision(row["precision"]).weight_bits < 8), []).append(row)
    return bases[:1] + [_small_and_good(members, runtimes) for members in groups.values()]


def _small_and_good(members: list[Row], runtimes: list[str]) -> Row:
    """members: by size."""
    first = min((row["runtime"] for row in members), key=runtimes.index)
    members = [row for row in members if row["runtime"] == first]
    return max(members[: (len(members) + 1) // 2], key=lambda row: row["val_score"])


def _is_usable(row: Row, nb: Notebook, runtimes: list[str]) -> bool:
    """Whether a row has a file of this case, seed and one of the runtimes that takes single items."""
    same = (row["case"], row["seed"], row["batch_size"]) == (nb.case, nb["seed"], 1) and row["runtime"] in runtimes
    return same and row["status"] == "ok" and bool(row["artifact"]) and row["notebook"] != nb.stem


def corrupted_splits(task: Task, model: nn.Module, names: list[str], *, n_items: int, seed: int) -> dict[str, np.ndarray]:
    """`n_items` of the test split, evenly spread, clean and corrupted: "clean", "noise 1", ... "fgsm 5", each (n, ...).

    The attack is made on `model`; for other networks it is a transferred one. Raises BadInput, see `corruptions.check`.
    """
    for name in names:
        if name != ATTACK:
            check(name, task.input_shape)
    numbers = spread_items(len(task.x_test), n_items)
    x, y = task.x_test[numbers], task.y_test[numbers]
    splits = {CLEAN: x.numpy()}
    for name in names:
        for severity in SEVERITIES:
            if name == ATTACK:
                splits[_split(name, severity)] = fgsm(model, task, x, y, EPSILONS[severity - 1])
            else:
                splits[_split(name, severity)] = corrupt(x.numpy(), name, severity, seed=seed)
    return splits


def _split(name: str, severity: int) -> str:
    return f"{name} {severity}"


def fgsm(model: nn.Module, task: Task, x: torch.Tensor, y: torch.Tensor, epsilon: float) -> np.ndarray:
    """The items (n, ...), each value moved by `epsilon` standard deviations in the direction that raises the loss.

    Source: Goodfellow et al. 2015, arXiv 1412.6572, section 4.
    """
    inputs = x.clone().requires_grad_(True)
    loss = task.kind.loss(model.eval()(inputs), inputs, y, 0.0)
    (slope,) = torch.autograd.grad(loss, inputs)
    return (x + epsilon * x.std() * slope.sign()).numpy()


def robustness(nb: Notebook, rows: list[Row], splits: dict[str, np.ndarray]) -> list[Row]:
    """The rows of the same files, for reference, with `extra.robustness`: under "clean", and under "corrupted" for each
    corruption in a list by severity, the score with its interval, the paired difference from the first row's file with its
    interval and verdict, and the metric's details. Written and returned; a file that fails is a row with its reason.
    """
    artifacts = [Artifact(nb.run_dir / row["artifact"], row["runtime"], row["precision"]) for row in rows]
    results = measure_files(artifacts, splits, seconds=0, threads=nb["threads"], who=nb.execution)
    built = []
    for row, result in zip(rows, results, strict=True):
        identity = {
            "row_id": short_id(nb.execution, row["row_id"]),
            "parent_id": row["row_id"],
            "notebook": nb.stem,
            "execution": nb.execution,
            "role": "reference",
            "samples": None,
        }
        shown = columns.error_columns(result) or {"extra": {"robustness": _by_corruption(nb, result, results[0], splits)}}
        built.append(row_files.build(row, identity, shown))
    row_files.write_rows(nb.run_dir / "rows" / f"{nb.execution}.jsonl", built)
    return built


def _by_corruption(nb: Notebook, result: Measured, base: Measured, splits: dict[str, np.ndarray]) -> Row:
    targets = nb.task.y_test[spread_items(len(nb.task.y_test), len(splits[CLEAN]))].numpy()
    scores = {name: _scores(result, base, nb.task.metric, name, x, targets) for name, x in splits.items()}
    corrupted = {name: [scores[_split(name, severity)] for severity in SEVERITIES] for name in nb["corruptions"]}
    return {CLEAN: scores[CLEAN], "corrupted": corrupted}


def _scores(result: Measured, base: Measured, metric: Metric, name: str, x: np.ndarray, targets: np.ndarray) -> Row:
    """Score, interval, difference from the base and details on one split, over the items that were scored."""
    items = result.items[name]
    scores = metric.item_scores(result.outputs[name], x[items], targets[items])
    lo, hi = metric.interval(scores, targets[items])
    shown = {"score": metric.score(scores, targets[items]), "score_lo": lo, "score_hi": hi, "n": len(items)}
    shown |= metric.details(result.outputs[name], targets[items])
    if result is base or base.error:
        return shown
    both, mine, theirs = np.intersect1d(items, base.items[name], return_indices=True)
    other = metric.item_scores(base.outputs[name][theirs], x[both], targets[both])
    delta, delta_lo, delta_hi = metric.difference(scores[mine], other, targets[both])
    word = verdict(delta_lo, delta_hi, metric.margin(targets[items]))
    return shown | {"delta": delta, "delta_lo": delta_lo, "delta_hi": delta_hi, "verdict": word}
