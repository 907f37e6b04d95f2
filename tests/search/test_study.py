"""Searches: no member twice, a killed search goes on exactly, workers share a study, bad input is said at once."""

import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebook.errors import BadInput, Unsupported
from edgebook.search import METHODS
from edgebook.search.evolution import ageing_evolution, genetic_algorithm, mutate
from edgebook.search.history import Aim, History, Trial, excess, fitness
from edgebook.search.space import BitSpace, Space, is_member
from edgebook.search.storage import load_study
from edgebook.search.study import Budget, finished, search

SPACE = Space((1, 12, 12), n_blocks=(0, 2), widths=(4, 8))
BITS = BitSpace((1, 28, 28), "stem 8k3s1 | " + " | ".join(["plain 8k3s1", "ds 16k3s2", "plain 16k3s1"] * 2) + " | pool")
TWO = Aim({"score": "maximize", "size": "minimize"}, {"size": 60.0})
N = 10
SMALL = {"ga": {"population_size": 3}, "ageing": {"population_size": 3}, "nsga2": {"population_size": 3}}


def evaluate(genotype):
    size = sum(block.width * block.kernel for block in (genotype.stem, *genotype.blocks))
    return {"score": -abs(size - 61) - 0.5 * len(genotype.blocks), "size": size}


def run(folder, method, **more):
    more = {"n_evaluations": N, "aim": TWO, "settings": SMALL.get(method), **more}
    budget = Budget(more.pop("n_evaluations"), more.pop("seconds", None))
    return search(SPACE, more.pop("evaluate", evaluate), folder, method=method, budget=budget, **more)


def without_times(trials):
    return [(trial.step, trial.genes, trial.figures, trial.notes, trial.error) for trial in trials]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """method -> the trials of a search that ran through; a new study file costs half a second, so each is made once."""
    folder = tmp_path_factory.mktemp("straight")
    return {method: run(folder, method) for method in METHODS} | {"folder": folder}


@pytest.mark.parametrize("method", METHODS)
def test_no_member_is_evaluated_twice_and_another_seed_has_others(straight, method):
    trials = straight[method]
    assert [trial.step for trial in trials] == list(range(N))
    assert len({str(trial.genotype) for trial in trials}) == N
    assert all(trial.figures == evaluate(trial.genotype) for trial in trials)
    assert without_times(trials) != without_times(run(straight["folder"], method, seed=1))


@pytest.mark.parametrize("method", METHODS)
def test_a_search_that_breaks_off_has_the_trials_of_one_that_ran_through(tmp_path_factory, straight, method):
    folder, calls = tmp_path_factory.getbasetemp() / "broken", 0

    def breaks_off(genotype):
        nonlocal calls
        calls += 1
        if calls in (3, 4, 8):
            raise KeyboardInterrupt
        return evaluate(genotype)

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            run(folder, method, evaluate=breaks_off)
    assert without_times(run(folder, method, evaluate=breaks_off)) == without_times(straight[method])
    assert calls == N + 3


WORKER = """
import os, sys, time
from pathlib import Path
from tests.search.test_study import evaluate, run
def slow(genotype):
    with open(sys.argv[2], "a") as log:
        log.write(f"{os.getpid()} {genotype}\\n")
    time.sleep(float(sys.argv[3]))
    return evaluate(genotype)
run(Path(sys.argv[1]), "nsga2", evaluate=slow)
"""


def start_worker(folder, log, seconds):
    root = str(__file__).rsplit("/tests/", 1)[0]
    path = os.pathsep.join([f"{root}/lib", root, os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", WORKER, str(folder), str(log), str(seconds)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path})


def test_a_process_that_is_killed_leaves_a_study_that_goes_on(tmp_path, straight):
    log = tmp_path / "log"
    worker = start_worker(tmp_path / "killed", log, 0.3)
    while not log.exists() or len(log.read_text().splitlines()) < 5:
        assert worker.poll() is None
        time.sleep(0.02)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert len(finished(load_study(tmp_path / "killed", "nsga2", 0), SPACE)) < N
    assert without_times(run(tmp_path / "killed", "nsga2")) == without_times(straight["nsga2"])


def test_two_processes_share_a_study(tmp_path):
    log = tmp_path / "log"
    for worker in [start_worker(tmp_path / "shared", log, 0.1) for _ in range(2)]:
        assert worker.wait() == 0
    lines = [line.split(" ", 1) for line in log.read_text().splitlines()]
    assert len({process for process, _ in lines}) == 2
    assert len({genotype for _, genotype in lines}) == len(lines) == N
    assert len(run(tmp_path / "shared", "nsga2")) == N


def test_failures_are_recorded_with_their_reason_and_count(tmp_path):
    def picky(genotype):
        if genotype.stem.stride == 2:
            raise Unsupported("a stem of stride 2 is not supported here")
        return evaluate(genotype) if genotype.stem.kernel == 3 else {"score": math.nan, "size": 1.0}

    trials = run(tmp_path, "nsga2", evaluate=picky)
    assert len(trials) == N
    reasons = {(2, 3): "a stem of stride 2 is not supported here", (1, 5): "not finite: score = nan", (1, 3): None}
    reasons[2, 5] = reasons[2, 3]
    assert all(trial.error == reasons[trial.genotype.stem.stride, trial.genotype.stem.kernel] for trial in trials)
    assert {trial.error for trial in trials} == set(reasons.values())
    assert without_times(run(tmp_path, "nsga2", evaluate=picky)) == without_times(trials)  # nothing is tried again


def test_an_exhausted_space_ends_the_search(tmp_path):
    space = Space((1, 12, 12), n_blocks=(0, 1), kinds=("ds",), widths=(8,), kernels=(3,), stem_widths=(8,), stem_kernels=(3,))
    trials = search(space, evaluate, tmp_path, method="random", budget=Budget(1000))
    # stem stride 1 or 2, and behind each: no block, stride 1, stride 1 with a skip, stride 2
    assert len(trials) == 8


def test_seconds_are_a_budget_over_all_runs(tmp_path):
    def takes_time(genotype):
        time.sleep(0.05)
        return evaluate(genotype)

    first = run(tmp_path, "random", evaluate=takes_time, n_evaluations=None, seconds=0.2)
    assert sum(trial.seconds for trial in first) >= 0.2
    assert sum(trial.seconds for trial in first[:-1]) < 0.2
    assert len(run(tmp_path, "random", evaluate=takes_time, n_evaluations=None, seconds=0.2)) == len(first)


@pytest.mark.parametrize("method", ["ga", "ageing"])
def test_evolution_beats_random_where_fitness_is_the_number_of_ones(tmp_path, method):
    ones = lambda genotype: {"score": float(len(genotype.blocks) + 10 * genotype.blocks.count(max_block))}  # noqa: E731
    max_block = BITS.decode(dict.fromkeys(BITS.genes, 1)).blocks[0]
    trials = search(BITS, ones, tmp_path, method=method, budget=Budget(50), settings={"population_size": 8})
    assert max(trial.figures["score"] for trial in trials) == 26  # all six layers, two of them the one that counts


@given(st.sampled_from([SPACE, BITS, Space((1, 40), heads=("pool", "flat"))]), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_mutation_and_crossover_stay_inside_the_space(space, seed):
    rng = np.random.default_rng(seed)
    genes = space.sample(rng)
    child = mutate(space, genes, rng)
    assert space.decode(child) != space.decode(genes)
    assert is_member(space, mutate(space, genes, rng, rate=0.3))
    parents = [space.sample(rng) for _ in range(6)]
    trials = tuple(Trial(step, g, space.decode(g), {"score": 0.0}) for step, g in enumerate(parents))
    history = History(trials, rng.random(6))
    bred, notes = genetic_algorithm(space, history, rng, population_size=3, crossover=1.0, mutation=0.0)()
    assert is_member(space, bred)
    mixed = {parents[step][name] == bred[name] for name in bred for step in notes["parents"]}
    assert True in mixed
    assert all(any(parents[step][name] == bred[name] for step in notes["parents"]) for name in bred)
    aged, notes = ageing_evolution(space, history, rng, population_size=6, sample_size=6)()
    assert notes["parents"] == [int(history.fitness.argmax())]
    assert space.decode(aged) != space.decode(parents[notes["parents"][0]])


def test_elites_of_earlier_generations_are_parents():
    rng = np.random.default_rng(0)
    genes = [SPACE.sample(rng) for _ in range(8)]
    trials = tuple(Trial(step, g, SPACE.decode(g), {"score": 0.0}) for step, g in enumerate(genes))
    best_first = History(trials, -np.arange(8.0))
    draw = genetic_algorithm(SPACE, best_first, rng, population_size=4, n_elite=1, tournament=5)
    assert all(draw()[1]["parents"] == [0, 0] for _ in range(5))  # of generation 0, though generation 1 is the last


def test_fitness_takes_limits_off_and_varies_the_weights():
    trials = [Trial(0, {}, None, {"score": 0.9, "size": 120.0}), Trial(1, {}, None, {"score": 0.8, "size": 30.0})]
    one = fitness(trials, Aim({"score": "maximize"}, {"size": 60.0}), np.random.default_rng(0))
    assert one == pytest.approx([0.9 - 1.0, 0.8])  # twice the limit costs 1
    assert excess(trials[0].figures, {"size": 60.0}) == {"size": 1.0}
    several = Aim({"score": "maximize", "size": "minimize"})
    best = {int(fitness(trials, several, np.random.default_rng(seed)).argmax()) for seed in range(20)}
    assert best == {0, 1}


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"n_evaluations": None}, "no budget"),
        ({"n_evaluations": 0}, "n_evaluations = 0"),
        ({"n_evaluations": None, "seconds": -60.0}, "seconds = -60.0"),
        ({"method": "annealing"}, "search method 'annealing' is unknown"),
        ({"settings": {"temperature": 1.0}}, "setting temperature; allowed: population_size, crossover, mutation"),
        ({"settings": {"population_size": 1}}, "population_size = 1"),
    ],
)
def test_bad_input_is_said_before_anything_is_evaluated(tmp_path, more, reason):
    def never(genotype):
        raise AssertionError("evaluated")

    with pytest.raises(BadInput, match=reason):
        run(tmp_path, **{"method": "nsga2", "evaluate": never, **more})


def test_a_study_of_another_space_or_aim_is_refused(tmp_path):
    run(tmp_path, "random", n_evaluations=2)
    with pytest.raises(BadInput, match="has space Space"):
        search(BITS, evaluate, tmp_path, method="random", aim=TWO, budget=Budget(2))
    with pytest.raises(BadInput, match="has aim Aim"):
        run(tmp_path, "random", aim=Aim())
    with pytest.raises(BadInput, match="no study ga-0; it has random-0"):
        load_study(tmp_path, "ga", 0)
    with pytest.raises(BadInput, match="there is no study"):
        load_study(tmp_path / "nowhere", "ga", 0)


def test_aims_without_sense_are_refused():
    for wrong in ({"objectives": {}}, {"objectives": {"score": "up"}}, {"limits": {"size": 0}}, {"limits": {"flash": None}}):
        with pytest.raises(BadInput):
            Aim(**wrong)
