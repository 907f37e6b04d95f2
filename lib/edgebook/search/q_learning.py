"""Q-learning over layers, after MetaQNN: an agent builds a net layer by layer and learns which layer pays where.

A state is what has been built; an action adds a layer, removes the last one ("remove"), or stops with a head ("pool", "flat").
The reward is the fitness of the finished net. All values are learned again from the history at every step, by experience
replay, so that a search needs no state besides its trials.
Source: Baker et al. 2017, Designing neural network architectures using reinforcement learning, arXiv 1611.02167.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from edgebook.errors import BadInput
from edgebook.models.genotype import Block, Genotype, final_sides, parse
from edgebook.registry import pick
from edgebook.search.history import Draw, History, Trial
from edgebook.search.space import Genes, Space, choose, fits

Layers = tuple[str, ...]  # the stem and the blocks so far, as text
Episode = list[tuple[Layers, str]]  # (layers so far, action), to the stop
QTable = dict[Any, dict[str, float]]  # state -> action -> value

REMOVE = "remove"
DEFAULT_STATE = "depth, last"
LEARNING_RATE = 0.2
REMOVAL_COST = 0.02
REPLAYS = 3
P_REMOVE = 0.1  # of an exploring step
MOST_STEPS = 4  # actions per block allowed, after which the agent stops where it may


def q_learning(
    space: Space,
    history: History,
    rng: np.random.Generator,
    *,
    state: str = DEFAULT_STATE,
    learning_rate: float = LEARNING_RATE,
    removal_cost: float = REMOVAL_COST,
    replays: int = REPLAYS,
    epsilon: tuple[float, float, int] = (1.0, 0.1, 30),
) -> Draw:
    """Episodes of the agent: each action is random with probability epsilon, else the one of the highest value.

    epsilon: (first, last, number of trials) falls linearly. Raises BadInput for a space without genes per block.
    """
    if not isinstance(space, Space):
        raise BadInput(f"q_learning: {type(space).__name__}; allowed: a Space, whose members are built layer by layer")
    first, last, n_trials = epsilon
    now = first + (last - first) * min(1.0, len(history.trials) / n_trials)
    table = q_table(space, history, rng, state=state, learning_rate=learning_rate, removal_cost=removal_cost, replays=replays)

    def draw() -> tuple[Genes, dict[str, Any]]:
        episode = run_episode(space, table, rng, epsilon=now, state=state)
        return space.encode(built(episode)), {"epsilon": now, "actions": [action for _, action in episode]}

    return draw


def q_table(
    space: Space,
    history: History,
    rng: np.random.Generator,
    *,
    state: str = DEFAULT_STATE,
    learning_rate: float = LEARNING_RATE,
    removal_cost: float = REMOVAL_COST,
    replays: int = REPLAYS,
) -> QTable:
    """Values learned from all trials, replayed `replays` times in random order, each from its last action to its first.

    Q(s, a) moves by `learning_rate` towards the reward of a stop, towards the best value of the next state otherwise, less
    `removal_cost` for a removal: without it, to add any layer and to remove it would be as good as not to. What was never
    tried is absent.
    """
    levels = pick(STATES, state, "state")
    episodes = [episode_of(trial) for trial in history.trials]
    keys = [[(action, *(level(space, layers) for level in levels)) for layers, action in reversed(e)] for e in episodes]
    table: QTable = {}
    for number in itertools.chain(*(rng.permutation(len(episodes)) for _ in range(replays))):
        for place in range(1, len(levels) + 1):
            target = float(history.fitness[number])
            for step in keys[number]:
                values, action = table.setdefault(step[place], {}), step[0]
                target -= removal_cost * (action == REMOVE)
                values[action] = values.get(action, target) + learning_rate * (target - values.get(action, target))
                target = max(values.values())
    return table


def values_in(space: Space, table: QTable, layers: Layers, *, state: str = DEFAULT_STATE) -> dict[str, float]:
    """Action -> value after these layers, as far as known: by the finest description in which the action was tried."""
    values: dict[str, float] = {}
    for level in pick(STATES, state, "state"):
        values |= table.get(level(space, layers), {})
    return {action: values[action] for action in actions(space, layers) if action in values}


def run_episode(
    space: Space, table: QTable, rng: np.random.Generator, *, epsilon: float = 0.0, state: str = DEFAULT_STATE
) -> Episode:
    """One net, built by the table; with epsilon 0 this is the greedy policy, which takes a random action in unknown states."""
    layers: Layers = ()
    episode: Episode = []
    while not episode or episode[-1][1] not in space.heads:
        allowed = actions(space, layers)
        late = len(episode) >= MOST_STEPS * (space.n_blocks[1] + 1)
        if late and (stops := [action for action in allowed if action in space.heads]):
            allowed = stops
        values = values_in(space, table, layers, state=state)
        values = {action: values[action] for action in allowed if action in values}
        action = (
            _explore(space, layers, allowed, rng)
            if not values or rng.random() < epsilon
            else max(values, key=lambda name: values[name])
        )
        episode.append((layers, action))
        layers = _after(layers, action)
    return episode


def greedy(space: Space, table: QTable, rng: np.random.Generator, *, state: str = DEFAULT_STATE) -> Genotype:
    """The net of the greedy policy."""
    return built(run_episode(space, table, rng, state=state))


def episode_of(trial: Trial) -> Episode:
    """The actions that led to a trial: as the agent noted them, else its layers one by one and its head."""
    layers: Layers = ()
    episode: Episode = []
    straight = [str(trial.genotype.stem), *map(str, trial.genotype.blocks), trial.genotype.head]
    for action in trial.notes.get("actions", straight):
        episode.append((layers, action))
        layers = _after(layers, action)
    return episode


def built(episode: Episode) -> Genotype:
    """The genotype at the end of an episode."""
    layers, head = episode[-1]
    return parse(" | ".join((*layers, head)))


@lru_cache(maxsize=100_000)
def actions(space: Space, layers: Layers) -> tuple[str, ...]:
    """What is allowed after these layers: a stem first; then blocks that fit, to remove the last layer, and to stop."""
    stop = space.heads if layers and len(layers) > space.n_blocks[0] else ()
    return (*_additions(space, layers), *([REMOVE] if layers else []), *stop)


def _additions(space: Space, layers: Layers) -> list[str]:
    """The layers that may follow; a block that could not use its skip is offered without."""
    if not layers:
        stems = itertools.product(space.stem_widths, space.stem_kernels, space.stem_strides)
        nets = [Genotype(Block("stem", *values), ()) for values in stems]
        return [str(net.stem) for net in nets if fits(net, space.input_shape)]
    if len(layers) > space.n_blocks[1]:
        return []
    net = parse(" | ".join(layers))
    c_in = (net.stem, *net.blocks)[-1].width
    options = itertools.product(space.kinds, space.widths, space.kernels, space.strides, space.skips)
    blocks = dict.fromkeys(Block(*v[:4], v[4] and v[3] == 1 and v[1] == c_in) for v in options)
    return [str(block) for block in blocks if fits(replace(net, blocks=(*net.blocks, block)), space.input_shape)]


def action_counts(trials: Sequence[Trial]) -> Counter[str]:
    """How often the agent took each action."""
    return Counter(action for trial in trials for _, action in episode_of(trial))


def learning_curve(trials: Sequence[Trial], fitness: np.ndarray) -> list[dict[str, Any]]:
    """One row per trial: step, reward, the best reward so far, epsilon."""
    best = np.maximum.accumulate(fitness)
    return [
        {"step": trial.step, "reward": float(reward), "best": float(top), "epsilon": trial.notes.get("epsilon")}
        for trial, reward, top in zip(trials, fitness, best, strict=True)
    ]


def _after(layers: Layers, action: str) -> Layers:
    return layers[:-1] if action == REMOVE else (*layers, action)


def _explore(space: Space, layers: Layers, allowed: tuple[str, ...], rng: np.random.Generator) -> str:
    """A random action. Stops are as likely as makes every number of blocks equally likely, not as one action among many."""
    stop = tuple(action for action in allowed if action in space.heads)
    add = tuple(action for action in allowed if action not in (*stop, REMOVE))
    if stop and (not add or rng.random() < 1 / (space.n_blocks[1] + 2 - len(layers))):
        return choose(rng, stop)
    if REMOVE in allowed and (not add or rng.random() < P_REMOVE):
        return REMOVE
    return choose(rng, add)


@lru_cache(maxsize=100_000)
def _last(space: Space, layers: Layers) -> tuple:
    genotype = parse(" | ".join(layers)) if layers else None
    return (len(layers), layers[-1], final_sides(genotype, space.input_shape)) if genotype else (0,)


def _depth(space: Space, layers: Layers) -> int:
    return len(layers)


def _all(space: Space, layers: Layers) -> Layers:
    return layers


STATES = {  # what the agent tells apart, from coarse to fine: an action that a finer state has not seen takes the coarser value
    "depth": (_depth,),
    "last": (_last,),  # the number of layers, the last one, and the size of the map, as in MetaQNN
    "layers": (_all,),
    "depth, last": (_depth, _last),
    "depth, last, layers": (_depth, _last, _all),
}
