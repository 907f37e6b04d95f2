"""What a Q-learning agent has learned, from its trials: rewards, its greedy net, how often it took each action."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebook.models.genotype import Genotype
from edgebook.search.history import Aim, History, Trial, fitness
from edgebook.search.q_learning import action_counts, greedy, learning_curve, q_table
from edgebook.search.space import Space


@dataclass(frozen=True)
class Learned:
    """rewards: one row per trial. policy: the net of the greedy policy. actions: one row per action, the most frequent first,
    with its mean value over all states.
    """

    rewards: list[dict[str, Any]]
    policy: Genotype
    actions: list[dict[str, Any]]


def what_was_learned(space: Space, trials: Sequence[Trial], aim: Aim, *, seed: int = 0) -> Learned:
    """The agent after all its trials, with the default settings. Rewards are relative where there are several objectives."""
    rng = np.random.default_rng(seed)
    good = tuple(trial for trial in trials if trial.error is None)
    rewards = fitness(good, aim, rng)
    table = q_table(space, History(good, rewards), rng)
    values: dict[str, list[float]] = {}
    for actions in table.values():
        for action, value in actions.items():
            values.setdefault(action, []).append(value)
    counts = [
        {"action": action, "times": times, "mean_value": float(np.mean(values[action]))}
        for action, times in action_counts(good).most_common()
    ]
    curve = [{"agent": "q_learning", "seed": seed, **point} for point in learning_curve(good, rewards)]
    return Learned(curve, greedy(space, table, rng), counts)
