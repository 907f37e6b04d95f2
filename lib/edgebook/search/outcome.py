"""What an autotune study has found so far: the best file, the front, which limit binds, which settings matter."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from edgebook.errors import BadInput
from edgebook.metrics.pareto import first_on_front
from edgebook.metrics.verdicts import AS_SMALL
from edgebook.search.goal import UNITS, Goal, amount, keeps
from edgebook.search.history import excess
from edgebook.search.storage import FILE, named_study

NAME = "autotune"
LEAST_FOR_IMPORTANCE = 8  # finished trials


@dataclass(frozen=True)
class Tuned:
    """A chain whose file fits. settings: as Optuna drew them. checkpoint: the network's key in the store."""

    number: int
    settings: dict[str, Any]
    figures: dict[str, float]
    checkpoint: str | None


@dataclass(frozen=True)
class Outcome:
    """best: the smallest file that keeps the score on validation, of those that are as small the best score; where none keeps
    it the best score that fits; None before any file. front: files that no other beats in validation score and size, the
    smallest first. counts: how trials ended. importance: setting -> share.
    """

    goal: Goal
    best: Tuned | None
    front: list[Tuned]
    counts: dict[str, int]
    refused: dict[str, list[float]]  # limit -> by which share of it each proposal was past it that was not trained
    importance: dict[str, float]

    @property
    def is_met(self) -> bool:
        """Whether the best file keeps the score."""
        return self.best is not None and keeps(self.best.figures, self.goal)

    @property
    def text(self) -> str:
        """The answer in two sentences: the best file so far, and what binds."""
        if self.best is None:
            return f"No file was made so far; proposals refused untrained: {self._refusals or 'none'}."
        figures, goal = self.best.figures, self.goal
        needs = ", ".join(amount(name, figures[name], goal) for name in goal.limits)
        file = f"Trial {self.best.number} for {goal.board}: validation score {figures['val_score']:.4f} ({needs})"
        if self.is_met:
            allowed = f"{goal.baseline_score - goal.least_score:.4g}"
            return f"{file}, the smallest of those that lose at most {allowed} there, within one standard error."
        lacking = goal.least_score - figures["val_score"]
        binds = f"the score binds: {lacking:.4g} less than the goal of {goal.least_score:.4f}"
        return f"{file}; {binds}. Proposals refused untrained: {self._refusals or 'none'}."

    @property
    def _refusals(self) -> str:
        return ", ".join(
            f"{len(shares)} by {name} ({min(shares):.0%} too much at least)" for name, shares in self.refused.items()
        )


def outcome_of(study: optuna.Study) -> Outcome:
    """What a study has found."""
    goal = Goal(**study.user_attrs["goal_data"])
    ended = [trial for trial in study.get_trials(deepcopy=False) if "result" in trial.user_attrs]
    files = [_tuned(trial) for trial in ended if "val_score" in trial.user_attrs["result"]["figures"]]
    refused: dict[str, list[float]] = {}
    for name, share in (past for trial in ended for past in _past(trial, goal)):
        refused.setdefault(name, []).append(share)
    counts = Counter(_ending(trial) for trial in ended)
    return Outcome(goal, _best(files, goal), _front(files, goal.flash), dict(counts), refused, _importance(study))


def _best(files: list[Tuned], goal: Goal) -> Tuned | None:
    """The smallest file that keeps the score, of those that are as small the best score; else the best score; None without."""
    keeping = [tuned for tuned in files if keeps(tuned.figures, goal)]
    limit = min((tuned.figures[goal.flash] for tuned in keeping), default=0.0) / AS_SMALL
    as_small = [tuned for tuned in keeping if tuned.figures[goal.flash] <= limit]
    return max(as_small or files, key=lambda tuned: (tuned.figures["val_score"], -tuned.figures[goal.flash]), default=None)


def read_outcome(folder: Path) -> Outcome:
    """What the study in a folder has found so far. Raises BadInput where there is none."""
    study = named_study(folder, NAME)
    if "goal_data" not in study.user_attrs:
        raise BadInput(f"{folder / FILE}: study {NAME} has not begun")
    return outcome_of(study)


def trial_lines(study_folder: Path) -> list[dict[str, Any]]:
    """One line per trial: number, how it ended, its settings that all trials have, its figures."""
    lines = []
    for trial in named_study(study_folder, NAME).get_trials(deepcopy=False):
        if "result" in trial.user_attrs:
            result = trial.user_attrs["result"]
            known = {name: trial.params.get(name) for name in ("network", "macs_ratio", "numbers", "soft_weight")}
            line = {"trial": trial.number, "end": _ending(trial), **known, **result["figures"]}
            lines.append(line | {"seconds": result["seconds"]})
    return lines


def _tuned(trial: FrozenTrial) -> Tuned:
    result = trial.user_attrs["result"]
    return Tuned(trial.number, trial.params, result["figures"], result["checkpoint"])


def _front(files: list[Tuned], size: str) -> list[Tuned]:
    points = np.array([[tuned.figures["val_score"], tuned.figures[size]] for tuned in files]).reshape(-1, 2)
    chosen = [files[number] for number in first_on_front(points, (True, False))]
    return sorted(chosen, key=lambda tuned: tuned.figures[size])


def _past(trial: FrozenTrial, goal: Goal) -> list[tuple[str, float]]:
    """The limits that a proposal was past, by their names for people, and by which share."""
    figures = trial.user_attrs["result"]["figures"]
    return [(UNITS[name][0], share) for name, share in excess(figures, goal.limits).items() if share > 0] if figures else []


def _ending(trial: FrozenTrial) -> str:
    result = trial.user_attrs["result"]
    if trial.state == TrialState.PRUNED:
        return "stopped after the short training"
    if result["error"]:
        return "failed"
    return "finished" if "val_score" in result["figures"] else "does not fit, not trained"


def _importance(study: optuna.Study) -> dict[str, float]:
    """Optuna's importance (fANOVA) of the settings that all trials have; empty with few trials or where all are equal."""
    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(finished) < LEAST_FOR_IMPORTANCE or len({trial.value for trial in finished}) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))
