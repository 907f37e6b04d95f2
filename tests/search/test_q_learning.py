"""The Q-agent: what it may do, what it learns, and that it finds the optimum of a toy space that can be enumerated."""

import itertools

import numpy as np
import pytest

from edgebook.errors import BadInput
from edgebook.models.genotype import Block, Genotype, check, parse
from edgebook.search.history import Aim, History, Trial, fitness
from edgebook.search.q_learning import (
    REMOVE,
    STATES,
    action_counts,
    actions,
    built,
    episode_of,
    greedy,
    learning_curve,
    q_learning,
    q_table,
    run_episode,
)
from edgebook.search.space import BitSpace, Space
from edgebook.search.storage import load_study
from edgebook.search.study import Budget, finished, search

TOY = Space(
    (1, 16, 16), n_blocks=(0, 3), kinds=("plain", "ds"), widths=(8, 16), kernels=(3,), strides=(1,), skips=(False,),
    stem_widths=(8,), stem_kernels=(3,), stem_strides=(1,),
)  # fmt: skip
VALUES = {"plain 8k3s1": 0.1, "plain 16k3s1": 0.5, "ds 8k3s1": 0.3, "ds 16k3s1": 0.2}


def reward(genotype):
    """Layers have values of their own, a pair of equal neighbours costs, and so does every layer."""
    lines = [str(block) for block in genotype.blocks]
    pairs = sum(a == b for a, b in itertools.pairwise(lines))
    return {"score": sum(VALUES.get(line, 0.0) for line in lines) - 0.45 * pairs - 0.25 * len(lines)}


def members(space):
    """All of a toy space."""
    options = [Block(*values) for values in itertools.product(space.kinds, space.widths, space.kernels, space.strides)]
    stem = Block("stem", space.stem_widths[0], space.stem_kernels[0], space.stem_strides[0])
    for n in range(space.n_blocks[0], space.n_blocks[1] + 1):
        for blocks in itertools.product(options, repeat=n):
            yield Genotype(stem, blocks)


def history_of(space, lines_and_scores):
    trials = [
        Trial(step, space.encode(parse(line)), parse(line), {"score": score})
        for step, (line, score) in enumerate(lines_and_scores)
    ]
    return History(tuple(trials), np.array([score for _, score in lines_and_scores]))


def learn(space, evaluate, n, **settings):
    """The history of an agent, with every net as often as it is drawn: a space this small is soon exhausted."""
    trials, rewards = [], []
    for step in range(n):
        history = History(tuple(trials), np.array(rewards))
        genes, notes = q_learning(space, history, np.random.default_rng((0, step)), **settings)()
        figures = evaluate(space.decode(genes))
        trials.append(Trial(step, genes, space.decode(genes), figures, notes))
        rewards.append(figures["score"])
    return History(tuple(trials), np.array(rewards))


@pytest.mark.parametrize("state", ["layers"])
def test_the_agent_finds_the_optimum_of_a_toy_space(state):
    values = {str(genotype): reward(genotype)["score"] for genotype in members(TOY)}
    assert len(values) == 85
    history = learn(TOY, reward, 400, state=state, epsilon=(1.0, 0.1, 300), replays=1)
    rng = np.random.default_rng(0)
    policy = greedy(TOY, q_table(TOY, history, rng, state=state, replays=20), rng, state=state)
    assert str(policy) == max(values, key=values.get)
    random = learn(TOY, reward, 400, state=state, epsilon=(1.0, 1.0, 30), replays=1)
    assert history.fitness[300:].mean() > random.fitness[300:].mean() + 0.3


def test_with_the_whole_prefix_as_state_the_values_are_exact():
    """Every net of the toy space was seen: the value of an action is the best reward that it can lead to."""
    nets = list(members(TOY))
    history = history_of(TOY, [(str(net), reward(net)["score"]) for net in nets])
    rng = np.random.default_rng(0)
    table = q_table(TOY, history, rng, state="layers", learning_rate=1.0, replays=8)
    best = max(nets, key=lambda net: reward(net)["score"])
    assert greedy(TOY, table, rng, state="layers") == best
    stem, first = str(best.stem), [str(block) for block in best.blocks]
    assert table[()][stem] == pytest.approx(reward(best)["score"])
    for action in actions(TOY, (stem,))[:4]:
        reachable = [reward(net)["score"] for net in nets if net.blocks and str(net.blocks[0]) == action]
        assert table[(stem,)][action] == pytest.approx(max(reachable))
    assert table[(stem, *first)]["pool"] == pytest.approx(reward(best)["score"])


def test_one_update_by_hand():
    history = history_of(TOY, [("stem 8k3s1 | ds 8k3s1 | pool", 0.5), ("stem 8k3s1 | ds 8k3s1 | pool", 1.0)])
    table = q_table(TOY, history, np.random.default_rng(0), state="layers", learning_rate=0.5, replays=1)
    both_ways = {0.5 + 0.5 * (1.0 - 0.5), 1.0 + 0.5 * (0.5 - 1.0)}  # 0.75 in either order
    assert {table[("stem 8k3s1", "ds 8k3s1")]["pool"]} == both_ways == {0.75}


def test_actions_keep_to_the_space():
    space = Space((1, 8, 8), n_blocks=(1, 2), widths=(8, 16), stem_widths=(8,), stem_kernels=(3,), heads=("pool", "flat"))
    assert set(actions(space, ())) == {"stem 8k3s1", "stem 8k3s2"}
    first = actions(space, ("stem 8k3s2",))
    assert "pool" not in first  # one block at least
    assert REMOVE in first
    assert "plain 8k3s1 +skip" in first
    assert "plain 16k3s1 +skip" not in first  # shapes differ
    assert {"pool", "flat", REMOVE} == set(actions(space, ("stem 8k3s2", "plain 8k3s2", "plain 8k3s1")))
    assert "plain 8k5s1" not in actions(space, ("stem 8k3s2", "plain 8k3s2"))  # 5 is too much for a side of 2
    for layers in (("stem 8k3s2",), ("stem 8k3s1", "fire 16k3s2")):
        for action in actions(space, layers):
            if action not in (REMOVE, *space.heads):
                check(parse(" | ".join((*layers, action))), space.input_shape)


@pytest.mark.parametrize("state", STATES)
def test_random_episodes_end_inside_the_space_with_every_number_of_blocks(state):
    rng = np.random.default_rng(0)
    counts, removals = np.zeros(4), 0
    for _ in range(400):
        episode = run_episode(TOY, {}, rng, epsilon=1.0, state=state)
        genotype = built(episode)
        assert TOY.decode(TOY.encode(genotype)) == genotype
        counts[len(genotype.blocks)] += 1
        removals += sum(action == REMOVE for _, action in episode)
    assert removals > 0
    assert counts.min() > 40


def test_notes_replay_to_the_same_net_and_are_counted(tmp_path):
    trials = search(TOY, reward, tmp_path, method="q_learning", budget=Budget(25), settings={"epsilon": (1.0, 0.1, 20)})
    assert all(built(episode_of(trial)) == trial.genotype for trial in trials)
    counts = action_counts(trials)
    assert counts["pool"] == 25  # every episode stops once
    assert counts["stem 8k3s1"] >= 25
    assert finished(load_study(tmp_path, "q_learning", 0), TOY) == trials
    curve = learning_curve(trials, np.array([trial.figures["score"] for trial in trials]))
    assert [row["epsilon"] for row in curve[:2]] == pytest.approx([1.0, 1.0 - 0.9 / 20])
    assert curve[-1]["best"] == max(row["reward"] for row in curve)
    assert curve[24]["epsilon"] == pytest.approx(0.1)


def test_limits_are_penalties_of_the_reward():
    """Without the limit the agent likes three layers, with it one."""
    figures = lambda genotype: {"score": 0.5 * len(genotype.blocks), "blocks": float(len(genotype.blocks))}  # noqa: E731
    trials = learn(TOY, figures, 60).trials
    for limits, n_blocks in (({}, 3), ({"blocks": 1.0}, 1)):
        rng = np.random.default_rng(0)
        history = History(trials, fitness(trials, Aim({"score": "maximize"}, limits), rng))
        assert len(greedy(TOY, q_table(TOY, history, rng), rng).blocks) == n_blocks


def test_bits_have_no_episodes():
    space = BitSpace((1, 16, 16), "stem 8k3s1 | ds 8k3s1 | pool")
    with pytest.raises(BadInput, match="allowed: a Space"):
        q_learning(space, History((), np.zeros(0)), np.random.default_rng(0))
    with pytest.raises(BadInput, match="state 'position' is unknown"):
        q_table(TOY, History((), np.zeros(0)), np.random.default_rng(0), state="position")
