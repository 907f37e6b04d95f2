"""A search that can be killed and goes on: every trial in Optuna's SQLite storage, the next one proposed from those before it.

The randomness of a step comes from (seed, step) and its proposal from the finished trials only, so a search that was killed
and started again has the same trials as one that ran through. Several processes may search in one folder at the same time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from edgebook.errors import BadInput, Unsupported
from edgebook.models.genotype import Genotype
from edgebook.registry import pick
from edgebook.search import METHODS
from edgebook.search.history import Aim, Draw, History, Trial, excess, fitness
from edgebook.search.space import AnySpace, Genes
from edgebook.search.storage import asking, fail_abandoned, new_worker, open_study, study_name

N_SEEN = 200  # proposals seen before, after which random members are drawn; as many again end the search

Evaluate = Callable[[Genotype], dict[str, float]]


@dataclass(frozen=True)
class Budget:
    """Evaluations, or seconds of evaluation, of all runs of a study together; of both the first that is spent.

    Raises BadInput where neither is given, or one is not above zero.
    """

    n_evaluations: int | None = None
    seconds: float | None = None

    def __post_init__(self):
        if self.n_evaluations is None and self.seconds is None:
            raise BadInput("search: no budget; allowed: n_evaluations or seconds")
        for name, value in (("n_evaluations", self.n_evaluations), ("seconds", self.seconds)):
            if value is not None and (isinstance(value, bool) or not value > 0):
                raise BadInput(f"search: {name} = {value!r}; allowed: a number above zero")

    def is_spent(self, n_evaluations: int, seconds: float) -> bool:
        """Whether so many evaluations, or so many seconds, are all that is allowed."""
        return n_evaluations >= (self.n_evaluations or math.inf) or seconds >= (self.seconds or math.inf)


@dataclass(frozen=True)
class _Run:
    """One worker of one study."""

    study: optuna.Study
    space: AnySpace
    aim: Aim
    propose: Callable[[AnySpace, History, np.random.Generator], Draw]
    seed: int
    folder: Path
    worker: int


def search(
    space: AnySpace,
    evaluate: Evaluate,
    folder: Path,
    *,
    budget: Budget,
    method: str = "random",
    aim: Aim | None = None,
    seed: int = 0,
    settings: dict[str, Any] | None = None,
) -> list[Trial]:
    """All trials of the study in `folder`, in their order, when the budget is spent.

    evaluate: genotype -> figures, among them the objectives and the limited figures of `aim`; no member is evaluated twice.
    Where it raises Unsupported or BadInput, or a figure is not finite, the trial has failed with that reason, and counts.
    Any other exception ends the search as a kill does: that member is evaluated again. settings: keywords of the method in
    METHODS. The search ends early where no unseen member can be drawn. Raises BadInput for a budget that is missing or not
    above zero, an unknown method or setting, and a study of another space, aim or settings.
    """
    settings, aim = settings or {}, aim or Aim()
    known = method_settings(method)
    if unknown := sorted(settings.keys() - known):
        raise BadInput(f"search method {method}: setting {', '.join(unknown)}; allowed: {', '.join(known) or 'none'}")
    with asking(folder):
        signature = {"space": repr(space), "aim": repr(aim), "settings": repr(settings)}
        study = open_study(folder, study_name(method, seed), list(aim.objectives.values()), signature)
    with new_worker(folder, study.study_name) as worker:
        run = _Run(study, space, aim, partial(pick(METHODS, method, "search method"), **settings), seed, folder, worker)
        while (trial := _next(run, budget)) is not None:
            _evaluate(run, trial, evaluate)
    return finished(study, space)


def finished(study: optuna.Study, space: AnySpace) -> list[Trial]:
    """The evaluated trials of a study, also those that failed, in their order."""
    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.FAIL))
    return [_trial(trial, space) for trial in ended if "result" in trial.user_attrs]


def _trial(trial: FrozenTrial, space: AnySpace) -> Trial:
    proposal, result = trial.user_attrs["proposal"], trial.user_attrs["result"]
    genotype, seconds = space.decode(trial.params), trial.duration.total_seconds()
    return Trial(proposal["step"], trial.params, genotype, result["figures"], proposal["notes"], result["error"], seconds)


def _next(run: _Run, budget: Budget) -> optuna.Trial | None:
    """The next trial, which this worker is to evaluate; None where the budget is spent or the space is exhausted."""
    with asking(run.folder):
        fail_abandoned(run.study, run.folder, run.worker)
        asked = [trial for trial in run.study.get_trials(deepcopy=False) if not _is_abandoned(trial)]
        past = finished(run.study, run.space)
        if budget.is_spent(len(asked), sum(trial.seconds for trial in past)):
            return None
        rng = np.random.default_rng((run.seed, len(asked)))
        good = tuple(trial for trial in past if trial.error is None)
        draw = run.propose(run.space, History(good, fitness(good, run.aim, rng), run.study), rng)
        seen = {trial.user_attrs["proposal"]["genotype"] for trial in asked}
        if (unseen := _draw_unseen(run.space, draw, seen, rng)) is None:
            return None
        genes, notes = unseen
        proposal = {"step": len(asked), "genotype": str(run.space.decode(genes)), "notes": notes, "worker": run.worker}
        return _ask(run.study, run.space, genes, proposal)


def _draw_unseen(space: AnySpace, draw: Draw, seen: set[str], rng: np.random.Generator) -> tuple[Genes, dict] | None:
    """A proposal that was not evaluated before, a random member where the method has none, None where there seems to be none."""
    notes: dict[str, Any] = {}
    for number in range(2 * N_SEEN):
        genes, notes = draw() if number < N_SEEN else (space.sample(rng), _without_origin(notes))
        if str(space.decode(genes)) not in seen:
            return genes, notes
    return None


def _without_origin(notes: dict[str, Any]) -> dict[str, Any]:
    """A proposal's notes without how its member arose: a random one stands in for it."""
    return {name: value for name, value in notes.items() if name not in ("actions", "parents")}


def _ask(study: optuna.Study, space: AnySpace, genes: Genes, proposal: dict[str, Any]) -> optuna.Trial:
    """A running trial of Optuna with these genes as its parameters, written at once."""
    distributions = {name: CategoricalDistribution(values) for name, values in space.genes.items()}
    proposed = create_trial(
        state=TrialState.RUNNING, params=genes, distributions=distributions, user_attrs={"proposal": proposal}
    )
    study.add_trial(proposed)
    added = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))[-1]
    return optuna.Trial(study, added._trial_id)


def _evaluate(run: _Run, trial: optuna.Trial, evaluate: Evaluate) -> None:
    """Evaluate the trial's member and record the figures, or why there are none."""
    figures, error = {}, None
    try:
        figures = {name: float(value) for name, value in evaluate(run.space.decode(trial.params)).items()}
        error = _flaw(figures, run.aim)
    except (Unsupported, BadInput) as refusal:
        error = str(refusal)
    trial.set_user_attr("result", {"figures": {} if error else figures, "error": error})
    if error:
        run.study.tell(trial, state=TrialState.FAIL)
        return
    for name, over in excess(figures, run.aim.limits).items():
        trial.set_constraint(name, over)
    run.study.tell(trial, [figures[name] for name in run.aim.objectives])


def _flaw(figures: dict[str, float], aim: Aim) -> str | None:
    needed = (*aim.objectives, *aim.limits)
    if absent := [name for name in needed if name not in figures]:
        raise KeyError(f"the evaluation returned {sorted(figures)}, not {', '.join(absent)}")
    bad = [f"{name} = {figures[name]}" for name in needed if not math.isfinite(figures[name])]
    return f"not finite: {', '.join(bad)}" if bad else None


def _is_abandoned(trial: FrozenTrial) -> bool:
    """Whether the trial's worker died before there was a result; it counts for nothing."""
    return trial.state == TrialState.FAIL and "result" not in trial.user_attrs


def method_settings(method: str) -> list[str]:
    """The names of the settings of a method. Raises BadInput for an unknown one."""
    return list(pick(METHODS, method, "search method").__kwdefaults__ or {})
