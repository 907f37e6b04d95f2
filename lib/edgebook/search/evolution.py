"""Evolution over genes: the textbook genetic algorithm, ageing evolution, and NSGA-II for several objectives.

Each proposes one member from the history. Generations and populations follow from the order of the trials, so that a search
needs no state besides its trials.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import CategoricalDistribution
from optuna.samplers import NSGAIISampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from edgebook.errors import BadInput
from edgebook.search.history import Draw, History
from edgebook.search.space import AnySpace, Genes, choose, is_member

N_TRIES = 100  # mutations or crossovers without a valid child, after which a random member stands in


def genetic_algorithm(
    space: AnySpace,
    history: History,
    rng: np.random.Generator,
    *,
    population_size: int = 10,
    n_elite: int = 5,
    tournament: int = 4,
    crossover: float = 0.9,
    mutation: float | None = None,
) -> Draw:
    """The textbook genetic algorithm: the first population is random, later generations are bred from the one before.

    Two parents are selected by tournament among the last generation and the `n_elite` best of all earlier ones (elitism
    without evaluating them again); one-point crossover with probability `crossover`; every gene mutates with probability
    `mutation` (None: one gene per child on average). Source: Goldberg 1989, Genetic Algorithms.
    """
    _check(population_size=population_size, tournament=tournament)
    generation = len(history.trials) // population_size
    if generation == 0:
        return lambda: (space.sample(rng), {"generation": 0})
    parents = _population(history, generation, population_size, n_elite)
    rate = 1 / len(space.genes) if mutation is None else mutation

    def draw() -> tuple[Genes, dict[str, Any]]:
        mother, father = (_tournament(history, parents, rng, tournament) for _ in range(2))
        first, second = history.trials[mother], history.trials[father]
        crossed = _crossed(space, first.genes, second.genes, rng) if rng.random() < crossover else first.genes
        return mutate(space, crossed, rng, rate=rate), {"generation": generation, "parents": [first.step, second.step]}

    return draw


def ageing_evolution(
    space: AnySpace, history: History, rng: np.random.Generator, *, population_size: int = 15, sample_size: int = 10
) -> Draw:
    """Ageing evolution: the best of `sample_size` among the last `population_size` trials gets one mutation; the oldest dies.

    Source: Real et al. 2019, Regularized evolution for image classifier architecture search, arXiv 1802.01548.
    """
    _check(population_size=population_size, sample_size=sample_size)
    if len(history.trials) < population_size:
        return lambda: (space.sample(rng), {})
    alive = list(range(len(history.trials)))[-population_size:]

    def draw() -> tuple[Genes, dict[str, Any]]:
        parent = history.trials[_tournament(history, alive, rng, sample_size)]
        return mutate(space, parent.genes, rng), {"parents": [parent.step]}

    return draw


def nsga2(
    space: AnySpace,
    history: History,
    rng: np.random.Generator,
    *,
    population_size: int = 16,
    crossover: float = 0.9,
    mutation: float | None = 0.15,
) -> Draw:
    """NSGA-II by Optuna's sampler: non-dominated sorting, crowding distance, uniform crossover, mutation by a new value.

    crossover: probability that a child has two parents; mutation: probability per gene (None: one gene on average). Limits are
    constraints (constrained domination). Source: Deb et al. 2002, IEEE TEC 6(2).
    """
    _check(population_size=population_size)
    distributions = {name: CategoricalDistribution(values) for name, values in space.genes.items()}
    generation = _newest_generation(history.study, population_size)

    def draw() -> tuple[Genes, dict[str, Any]]:
        seed = int(rng.integers(2**31))
        sampler = _ByNotes(population_size=population_size, crossover_prob=crossover, mutation_prob=mutation, seed=seed)
        asked = create_trial(state=TrialState.RUNNING)
        for _ in range(N_TRIES if generation else 0):
            drawn = sampler.sample_relative(history.study, asked, distributions)
            genes = {name: drawn.get(name, choose(rng, values)) for name, values in space.genes.items()}
            if is_member(space, genes):
                return genes, {"generation": generation}
        return space.sample(rng), {"generation": generation}

    return draw


class _ByNotes(NSGAIISampler):
    """Optuna's sampler with the generations that the trials' notes hold: none is written while a trial is being proposed."""

    def get_trial_generation(self, study: Study, trial: FrozenTrial) -> int:
        return _newest_generation(study, self.population_size)

    def get_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        return [trial for trial in _complete(study) if trial.user_attrs["proposal"]["notes"]["generation"] == generation]


def _complete(study: Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _newest_generation(study: Study, population_size: int) -> int:
    """The generation that is being filled: the next one as soon as `population_size` trials of the newest are complete."""
    counts = Counter(trial.user_attrs["proposal"]["notes"]["generation"] for trial in _complete(study))
    newest = max(counts, default=0)
    return newest + (counts[newest] >= population_size)


def mutate(space: AnySpace, genes: Genes, rng: np.random.Generator, *, rate: float | None = None) -> Genes:
    """A member whose genotype differs: every gene gets another value with probability `rate` (None: exactly one gene does).

    Raises nothing where no mutation is valid: then a random member comes back.
    """
    names = [name for name, values in space.genes.items() if len(values) > 1]
    before = space.decode(genes)
    for _ in range(N_TRIES if names else 0):
        changed = [choose(rng, tuple(names))] if rate is None else [name for name in names if rng.random() < rate]
        child = dict(genes)
        for name in changed:
            child[name] = choose(rng, tuple(value for value in space.genes[name] if value != genes[name]))
        if is_member(space, child) and (rate is not None or space.decode(child) != before):
            return child
    return space.sample(rng)


def _crossed(space: AnySpace, mother: Genes, father: Genes, rng: np.random.Generator) -> Genes:
    """One-point crossover: the mother's genes up to a random place, the father's from there; the mother if none is valid."""
    names = list(space.genes)
    for _ in range(N_TRIES if len(names) > 1 else 0):
        point = int(rng.integers(1, len(names)))
        child = {name: (mother if place < point else father)[name] for place, name in enumerate(names)}
        if is_member(space, child):
            return child
    return mother


def _population(history: History, generation: int, size: int, n_elite: int) -> list[int]:
    """Indices of the last full generation's trials and of the best ones of all earlier generations."""
    last = list(range((generation - 1) * size, generation * size))
    earlier = sorted(range(last[0]), key=lambda index: -history.fitness[index])[:n_elite]
    return earlier + last


def _tournament(history: History, among: list[int], rng: np.random.Generator, size: int) -> int:
    """The index of the best of `size` trials drawn at random, without putting back."""
    drawn = rng.choice(among, size=min(size, len(among)), replace=False)
    return int(max(drawn, key=lambda index: history.fitness[index]))


def _check(**sizes: int) -> None:
    for name, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < (2 if name == "population_size" else 1):
            raise BadInput(f"search: {name} = {value!r}; allowed: a whole number, population_size at least 2, others 1")
