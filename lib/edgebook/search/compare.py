"""Several methods search one space with the same budget and seeds; which of their nets are trained in full."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgebook.errors import BadInput
from edgebook.models.genotype import Genotype
from edgebook.search.audit import compare_to_control, front, hypervolume_curve
from edgebook.search.history import Aim, Trial, meets
from edgebook.search.space import Space
from edgebook.search.study import Budget, Evaluate, search

CONTROL = "random"
Searches = dict[str, list[list[Trial]]]  # method -> the trials of each seed


def run_searches(
    space: Space,
    evaluate: Evaluate,
    folder: Path,
    *,
    methods: Sequence[str],
    aim: Aim,
    n_evaluations: int,
    seeds: Sequence[int],
) -> Searches:
    """The trials of every method and seed, found in `folder` or evaluated; random search is always among them, first."""
    budget = {"aim": aim, "budget": Budget(n_evaluations)}
    names = dict.fromkeys([CONTROL, *methods])
    return {name: [search(space, evaluate, folder, method=name, seed=seed, **budget) for seed in seeds] for name in names}


def curves(searches: Searches, aim: Aim, reference: dict[str, float]) -> list[dict[str, Any]]:
    """One row per trial: method, seed, evaluations, seconds of training so far, hypervolume so far as a share of the best."""
    points = []
    for method, several in searches.items():
        for seed, trials in enumerate(several):
            volumes = hypervolume_curve(trials, aim.objectives, reference)
            seconds = np.cumsum([trial.figures.get("train_s", 0.0) for trial in trials])
            for number, (volume, spent) in enumerate(zip(volumes, seconds, strict=True), 1):
                at = {"method": method, "seed": seed, "evaluations": number, "seconds": float(spent)}
                points.append(at | {"hypervolume": float(volume)})
    best = max((point["hypervolume"] for point in points), default=0.0)
    return [point | {"hypervolume": point["hypervolume"] / best if best else 0.0} for point in points]


def against_random(searches: Searches, aim: Aim, reference: dict[str, float]) -> list[dict[str, Any]]:
    """One row per other method: the share of random search's evaluations that it needs for random search's final hypervolume,
    with interval over seeds, and its verdict in words. Empty for a single seed.
    """
    volumes = {name: [hypervolume_curve(trials, aim.objectives, reference) for trials in many] for name, many in searches.items()}
    if len(volumes[CONTROL]) < 2:
        return []
    rows = []
    for name in (name for name in volumes if name != CONTROL):
        shown = compare_to_control(volumes[name], volumes[CONTROL])
        faster, slower = shown["share_hi"] < shown["control_share"], shown["share_lo"] > shown["control_share"]
        word = "fewer evaluations" if faster else "more evaluations" if slower else "cannot tell"
        rows.append({"method": name, **shown, "verdict": word})
    return rows


def to_train_in_full(searches: Searches, aim: Aim, n: int) -> list[Trial]:
    """`n` different nets within the limits: at most half of them from the front of all searches, evenly over it, the others
    evenly over the proxy scores of all trials, so that its rank correlation is not one of the best nets only.

    Raises BadInput where there are fewer.
    """
    different: dict[Genotype, Trial] = {}
    for trial in (trial for several in searches.values() for trials in several for trial in trials if trial.error is None):
        if meets(trial.figures, aim.limits):
            different.setdefault(trial.genotype, trial)
    if len(different) < n:
        raise BadInput(f"search: {len(different)} different nets within the limits, n_audit = {n}; allowed: more n_evaluations")
    leading = sorted(front(list(different.values()), aim.objectives), key=_score)
    chosen = _evenly(leading, n // 2)
    rest = sorted((trial for trial in different.values() if trial not in chosen), key=_score)
    return sorted([*chosen, *_evenly(rest, n - len(chosen))], key=_score)


def _score(trial: Trial) -> float:
    return trial.figures["score"]


def _evenly(trials: list[Trial], n: int) -> list[Trial]:
    """At most `n` of them, the last among them."""
    if len(trials) <= n:
        return trials
    return [trials[round(place)] for place in np.linspace(len(trials) - 1, 0, n)]
