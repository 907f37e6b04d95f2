"""What a search has seen: its trials, and one fitness per trial where a method needs a single number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna

from edgebook.errors import BadInput
from edgebook.models.genotype import Genotype
from edgebook.registry import pick
from edgebook.search.space import Genes

SIGNS = {"maximize": 1.0, "minimize": -1.0}
PENALTY = 1.0  # fitness lost where a figure is twice its limit, in the unit of the objective
SECOND_TERM = 0.05  # of the augmented Chebyshev scalarization, as in ParEGO


@dataclass(frozen=True)
class Trial:
    """One evaluated member. `figures` is what the evaluation returned, empty where it failed (`error` has the reason)."""

    step: int
    genes: Genes
    genotype: Genotype
    figures: dict[str, float]
    notes: dict[str, Any] = field(default_factory=dict)  # of the method: parents, actions, epsilon
    error: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Aim:
    """objectives: figure -> "maximize" or "minimize". limits: figure -> the most that is allowed.

    Raises BadInput for no objective, an unknown direction, or a limit that is no number above zero.
    """

    objectives: dict[str, str] = field(default_factory=lambda: {"score": "maximize"})
    limits: dict[str, float] = field(default_factory=dict)

    def __post_init__(self):
        if not self.objectives:
            raise BadInput("search: no objective; allowed: a mapping such as {'score': 'maximize'}")
        for direction in self.objectives.values():
            pick(SIGNS, direction, "direction")
        for name, limit in self.limits.items():
            if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit < float("inf"):
                raise BadInput(f"search: limit {name} = {limit!r}; allowed: a number above zero; a board must have the figure")


@dataclass(frozen=True)
class History:
    """What a method may look at: trials without errors, oldest first, their fitness (n,), higher is better; and Optuna's
    study, for methods that sample from it.
    """

    trials: tuple[Trial, ...]
    fitness: np.ndarray
    study: optuna.Study | None = None


Draw = Callable[[], tuple[Genes, dict[str, Any]]]  # a proposal and the method's notes on it; called again if it was seen


def losses(trials: Sequence[Trial], objectives: dict[str, str]) -> np.ndarray:
    """The objectives of every trial, to be minimized, (n, n_objectives)."""
    values = [[-SIGNS[direction] * trial.figures[name] for name, direction in objectives.items()] for trial in trials]
    return np.array(values, dtype=float).reshape(len(trials), len(objectives))


def meets(figures: dict[str, float], limits: dict[str, float]) -> bool:
    """Whether the figures keep every limit."""
    return max(excess(figures, limits).values(), default=0.0) <= 0


def excess(figures: dict[str, float], limits: dict[str, float]) -> dict[str, float]:
    """By which share of the limit a figure is past it, zero or less where it is met."""
    return {name: figures[name] / limit - 1 for name, limit in limits.items()}


def fitness(trials: Sequence[Trial], aim: Aim, rng: np.random.Generator) -> np.ndarray:
    """One number per trial, higher is better, (n,): the objective less PENALTY times the excess over every limit.

    Of several objectives, each scaled to [0, 1] over the trials, the augmented Chebyshev scalarization with random weights:
    over the steps of a search all directions are taken. Source: Knowles 2006, ParEGO, IEEE TEC 10(1).
    """
    penalties = np.array([sum(max(0.0, over) for over in excess(trial.figures, aim.limits).values()) for trial in trials])
    values = losses(trials, aim.objectives)
    if len(aim.objectives) == 1:
        return -values[:, 0] - PENALTY * penalties
    weights = rng.dirichlet(np.ones(values.shape[1]))
    if not len(values):
        return np.zeros(0)
    low, high = values.min(0), values.max(0)
    weighted = weights * (values - low) / np.where(high > low, high - low, 1.0)
    return -weighted.max(1) - SECOND_TERM * weighted.sum(1) - PENALTY * penalties
