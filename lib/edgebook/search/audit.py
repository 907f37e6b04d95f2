"""What a search brought: hypervolume against evaluations, evaluations to a target, rank correlation of two scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna._hypervolume import compute_hypervolume  # Optuna's own figure of it draws only with Plotly
from scipy import stats

from edgebook.errors import BadInput
from edgebook.metrics.pareto import first_on_front
from edgebook.search.history import Trial, losses

CONFIDENCE = 0.95


def front(trials: Sequence[Trial], objectives: dict[str, str]) -> list[Trial]:
    """The trials that no other beats in one objective without losing in another, in their order; of equal ones the first.

    Trials without figures are left out.
    """
    good = [trial for trial in trials if trial.error is None]
    return [good[number] for number in first_on_front(losses(good, objectives), [False] * len(objectives))]


def hypervolume(points: np.ndarray, reference: Sequence[float]) -> float:
    """The volume between minimized points (n, d) and a reference point (d,) that is worse than what counts.

    A point that is worse than the reference in any objective adds nothing. Source: Zitzler and Thiele 1999, IEEE TEC 3(4).
    """
    points, corner = np.asarray(points, dtype=float), np.asarray(reference, dtype=float)
    inside = points[np.all(points <= corner, axis=1)]
    return float(compute_hypervolume(inside, corner)) if len(inside) else 0.0


def hypervolume_curve(trials: Sequence[Trial], objectives: dict[str, str], reference: dict[str, float]) -> np.ndarray:
    """The hypervolume after every trial, (n_trials,), never falling; a failed trial adds nothing.

    reference: objective -> the value that is worse than all that counts, in the figure's own unit and sign.
    Raises BadInput where an objective has no reference.
    """
    if absent := sorted(objectives.keys() - reference.keys()):
        raise BadInput(f"hypervolume: no reference for {', '.join(absent)}; allowed: one value per objective")
    corner = losses([Trial(0, {}, None, reference)], objectives)[0]
    volumes, points = [], np.zeros((0, len(objectives)))
    for trial in trials:
        if trial.error is None:
            points = np.vstack([points, losses([trial], objectives)])
        volumes.append(hypervolume(points, corner))
    return np.array(volumes)


def evaluations_to(curve: Sequence[float], target: float) -> int | None:
    """After how many evaluations a curve reaches the target for the first time, None where it never does."""
    reached = np.flatnonzero(np.asarray(curve) >= target)
    return int(reached[0]) + 1 if len(reached) else None


def compare_to_control(curves: Sequence[Sequence[float]], controls: Sequence[Sequence[float]]) -> dict[str, Any]:
    """How many evaluations a method needs for what the control reached at its end, one pair of curves per seed.

    The target is the mean of the controls' last values. `share`: mean over the seeds of evaluations needed / evaluations of the
    control, with its interval (share_lo, share_hi; Student's t over seeds); `n_reached` of `n_seeds` reached the target. A seed
    that did not counts with all its evaluations, so that with n_reached < n_seeds the share is a lower bound. `control_share`:
    the same for the controls themselves, which do not all reach their mean. Raises BadInput for fewer than two seeds.
    """
    if len(curves) != len(controls) or len(curves) < 2:
        raise BadInput(f"comparison of {len(curves)} curves and {len(controls)} controls; allowed: one pair per seed, at least 2")
    target = float(np.mean([control[-1] for control in controls]))
    needed = [evaluations_to(curve, target) for curve in curves]
    shares = [(n or len(curve)) / len(control) for n, curve, control in zip(needed, curves, controls, strict=True)]
    mean, low, high = mean_interval(shares)
    own = [(evaluations_to(control, target) or len(control)) / len(control) for control in controls]
    return {
        "target": target,
        "share": mean,
        "share_lo": low,
        "share_hi": high,
        "n_reached": sum(n is not None for n in needed),
        "n_seeds": len(curves),
        "control_share": float(np.mean(own)),
    }


def mean_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float, float]:
    """The mean of independent values and its interval by Student's t. Raises BadInput for fewer than two values."""
    if len(values) < 2:
        raise BadInput(f"interval of {len(values)} values; allowed: at least 2")
    if min(values) == max(values):
        return float(values[0]), float(values[0]), float(values[0])
    low, high = stats.ttest_1samp(values, 0.0).confidence_interval(confidence)
    return float(np.mean(values)), float(low), float(high)


def rank_correlation(proxy: Sequence[float], score: Sequence[float], *, method: str = "spearman") -> dict[str, float]:
    """Spearman's or Kendall's rank correlation of two scores of the same nets, with its 95 % interval: {r, lo, hi, n}.

    The interval is Fisher's z with the standard error of Bonett and Wright 2000 (Spearman) or of Fieller et al. 1957
    (Kendall). Raises BadInput for fewer than five pairs, for scores that are all the same, or an unknown method.
    """
    if method not in ("spearman", "kendall"):
        raise BadInput(f"rank correlation {method!r}; allowed: kendall, spearman")
    n = len(proxy)
    if n != len(score) or n < 5:
        raise BadInput(f"rank correlation of {n} and {len(score)} scores; allowed: as many, at least 5")
    if min(len(set(proxy)), len(set(score))) < 2:
        raise BadInput("rank correlation of scores that are all the same; allowed: scores that differ")
    correlate: Any = stats.spearmanr if method == "spearman" else stats.kendalltau
    r = float(correlate(proxy, score).statistic)
    variance = (1 + r**2 / 2) / (n - 3) if method == "spearman" else 0.437 / (n - 4)
    half = stats.norm.ppf((1 + CONFIDENCE) / 2) * math.sqrt(variance)
    z = math.atanh(np.clip(r, -1 + 1e-12, 1 - 1e-12))
    return {"r": r, "lo": math.tanh(z - half), "hi": math.tanh(z + half), "n": n}
