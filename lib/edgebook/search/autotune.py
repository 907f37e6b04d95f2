"""The best file for a board: chains of compression proposed by Optuna, every trial kept, the best so far at any time."""

from __future__ import annotations

import itertools
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from edgebook.errors import BadInput, Unsupported
from edgebook.measure.profile import file_cost, untrained
from edgebook.search.budget import check_reachable
from edgebook.search.chain_trial import MACS_RATIOS, SOFT_WEIGHTS, Bench, Settings, numbers_for, run_chain
from edgebook.search.fitness import has_searched, new_net
from edgebook.search.goal import BoardLimits, value_of
from edgebook.search.outcome import NAME, Outcome, outcome_of
from edgebook.search.space import AnySpace
from edgebook.search.storage import asking, fail_abandoned, new_worker, open_study
from edgebook.tasks.task import Task

N_STARTUP = 6  # trials before any is stopped after its short training
WORST = 33.0  # percent of the short trainings that are stopped
Run = Callable[[Settings, Bench, Callable[[float], None], Path], tuple[dict[str, float], str | None]]
STARTS: tuple[Settings, ...] = (
    {"network": "pruned", "macs_ratio": 0.0, "numbers": "int8", "soft_weight": 0.0},
    {"network": "pruned", "macs_ratio": 0.5, "numbers": "int8", "soft_weight": 0.7},
)


@dataclass(frozen=True)
class Budget:
    """minutes: of all runs in the folder together. n_trials: at most so many; 0: no limit. Raises BadInput for minutes <= 0."""

    minutes: float
    n_trials: int = 0

    def __post_init__(self):
        if not self.minutes > 0:
            raise BadInput(f"minutes = {self.minutes:g}; allowed: a number above zero")


def autotune(
    bench: Bench, folder: Path, budget: Budget, *, stop: Path | None = None, seed: int = 0, run: Run = run_chain
) -> Outcome:
    """What was found when the budget is spent, when it is interrupted, or after the trial during which a file `stop` appears.

    Every trial is in Optuna's study in `folder` at once, and its file beside it: a search that was killed goes on, and several
    processes may share one. Raises BadInput for a study of another space or goal; see `check_fits` for what to ask before.
    """
    with asking(folder):
        study = _open(bench, folder, seed)
    with new_worker(folder, NAME) as worker:
        try:
            while not (stop and stop.exists()) and (trial := _ask(study, bench, folder, worker, budget, seed)) is not None:
                _evaluate(trial, study, bench, folder, run)
        except KeyboardInterrupt:
            print("edgebook: stopped; the best so far is shown, and the same command goes on", flush=True)
    return outcome_of(study)


def _open(bench: Bench, folder: Path, seed: int) -> optuna.Study:
    """The study, with the goal that it was made for."""
    signature = {"space": repr(bench.space), "goal": repr(bench.goal.as_plain()), "data": bench.task.fingerprint}
    signature |= {"recipes": repr((bench.recipe, bench.qat_recipe)), "seed": str(seed)}
    study = open_study(folder, NAME, ["maximize"], signature)
    study.set_user_attr("goal_data", bench.goal.as_plain())
    study.set_user_attr("genes", list(bench.space.genes))
    if not study.get_trials(deepcopy=False):
        for settings in (*STARTS, *_smallest(bench)):
            study.enqueue_trial(settings)
    study.pruner = optuna.pruners.PercentilePruner(100 - WORST, n_startup_trials=N_STARTUP)
    return study


def _smallest(bench: Bench) -> list[Settings]:
    """One small searched network to start with, where the task has any."""
    members = bench.space.small_members() if has_searched(bench.task, bench.space) else ()
    given = {name: STARTS[1][name] for name in ("numbers", "soft_weight")}
    return [{"network": "searched", **bench.space.encode(genotype), **given} for genotype in itertools.islice(members, 1)]


def check_fits(task: Task, space: AnySpace, limits: BoardLimits) -> None:
    """Raises BadInput where not even the smallest searched networks fit the board; of a task without any nothing is known."""
    if not has_searched(task, space):
        return
    where = {"runtime": limits.runtime, "core": limits.core}
    cost = lambda genotype: file_cost(untrained(new_net(task, genotype), task), task, **where)  # noqa: E731
    check_reachable(space, limits.limits, cost, n_samples=0)  # every one is exported, the smallest ones will do


def _ask(study: optuna.Study, bench: Bench, folder: Path, worker: int, budget: Budget, seed: int) -> optuna.Trial | None:
    """The next trial with its settings drawn; None when the budget is spent."""
    with asking(folder):
        fail_abandoned(study, folder, worker)
        ended = [trial for trial in study.get_trials(deepcopy=False) if "result" in trial.user_attrs]
        spent = sum(trial.user_attrs["result"]["seconds"] for trial in ended)
        if spent >= 60 * budget.minutes or 0 < budget.n_trials <= len(ended):
            return None
        study.sampler = _sampler(seed + len(ended))
        trial = study.ask()
        trial.set_user_attr("proposal", {"worker": worker})
        _draw(trial, bench)
    return trial


def _sampler(seed: int) -> optuna.samplers.BaseSampler:
    """TPE over all settings together; one per trial, so that what is drawn depends on the seed and the trials before it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(multivariate=True, group=True, n_startup_trials=2 * N_STARTUP, seed=seed)


def _draw(trial: optuna.Trial, bench: Bench) -> None:
    """Draw the trial's settings. What both kinds of network have is drawn first, so that its importance is over all trials."""
    trial.suggest_categorical("numbers", numbers_for(bench.goal.runtime))
    trial.suggest_categorical("soft_weight", SOFT_WEIGHTS)
    networks = ("pruned", "searched") if has_searched(bench.task, bench.space) else ("pruned",)
    if trial.suggest_categorical("network", networks) == "pruned":
        trial.suggest_categorical("macs_ratio", MACS_RATIOS)
        return
    for name, values in bench.space.genes.items():
        trial.suggest_categorical(name, values)


def _evaluate(trial: optuna.Trial, study: optuna.Study, bench: Bench, folder: Path, run: Run) -> None:
    """Evaluate a trial, and write what came of it. An interruption leaves it without a result: it counts for nothing."""
    started, file = time.perf_counter(), folder / "files" / f"{trial.number}"
    result: dict[str, Any] = {"figures": {}, "error": None, "checkpoint": None, "short_score": None}

    def report(score: float) -> None:
        result["short_score"] = score
        trial.report(min(score, bench.goal.least_score), 1)  # above the goal all are equal
        if trial.should_prune():
            raise optuna.TrialPruned

    state = TrialState.COMPLETE
    try:
        result["figures"], result["checkpoint"] = run(trial.params, bench, report, file)
    except optuna.TrialPruned:
        state = TrialState.PRUNED
    except (BadInput, Unsupported, RuntimeError, FloatingPointError) as refusal:
        state, result["error"] = TrialState.FAIL, str(refusal)[:300]
    trial.set_user_attr("result", result | {"seconds": time.perf_counter() - started})
    study.tell(trial, value_of(result["figures"], bench.goal) if state == TrialState.COMPLETE else None, state=state)
