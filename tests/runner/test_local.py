"""Calls in processes: in any order, each with its own outcome; a process that dies takes one call along."""

import os
import signal
import time

import psutil
import pytest

from edgebook.errors import BadInput
from edgebook.runner.executors.local import Pool


def process_id(wait_s=0.0):
    time.sleep(wait_s)
    return os.getpid()


def act(what):
    """What a call may do."""
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "exit":
        os._exit(3)
    if what == "raise":
        raise ValueError("no")
    if what == "refuse":
        raise BadInput("threads = 0")
    return what


def run_all(function, calls, *, jobs):
    """Index of the call -> its outcome."""
    waiting, outcomes = list(range(len(calls))), {}
    with Pool(jobs, cores=jobs) as pool:
        while len(outcomes) < len(calls):
            while waiting and pool.has_room(1):
                index = waiting.pop(0)
                pool.submit(index, function, calls[index])
            outcomes |= dict(pool.wait())
    return outcomes


def test_processes_are_used_again_and_there_are_no_more_than_asked_for():
    outcomes = run_all(process_id, [(0.1,)] * 6, jobs=2)
    assert outcomes.keys() == set(range(6))
    assert len({outcome.value for outcome in outcomes.values()}) == 2
    assert os.getpid() not in {outcome.value for outcome in outcomes.values()}


@pytest.mark.parametrize("jobs", [1, 2])
def test_each_call_has_its_own_outcome(jobs):
    calls = ["fine", "die", "raise", "exit", "refuse", "also fine"]
    outcomes = run_all(act, [(what,) for what in calls], jobs=jobs)
    assert [outcomes[n].value for n in range(6)] == ["fine", None, None, None, None, "also fine"]
    assert [outcomes[n].error for n in range(6)] == [
        None,
        "its process ended: SIGKILL, perhaps out of memory",
        "ValueError: no",
        "its process ended: exit code 3",
        "threads = 0",
        None,
    ]


@pytest.mark.parametrize(("costs", "at_once"), [([1] * 4, 3), ([2] * 4, 1), ([3, 1, 1], 2), ([9, 9], 1), ([1, 2, 9], 2)])
def test_the_cores_in_use_are_never_more_than_there_are_unless_one_call_alone_needs_more(costs, at_once):
    pool, most = Pool(jobs=9, cores=3), 0
    with pool:
        waiting = list(enumerate(costs))
        while waiting or pool.n_running:
            while waiting and pool.has_room(waiting[0][1]):
                tag, cores = waiting.pop(0)
                pool.submit(tag, act, ("fine",), cores=cores)
            assert pool.n_running == 1 or pool.cores_used <= 3
            most = max(most, pool.n_running)
            pool.wait()
    assert most == at_once


def test_a_process_that_died_between_two_calls_is_replaced():
    with Pool(jobs=1, cores=1) as pool:
        for _ in range(2):
            pool.submit("tag", act, ("fine",))
            assert [outcome.value for _, outcome in pool.wait()] == ["fine"]
            (worker,) = workers()
            worker.kill()
            worker.wait()


def workers():
    return [child for child in psutil.Process().children() if any("spawn_main" in text for text in child.cmdline())]


def test_leaving_ends_the_processes_and_does_not_wait_for_the_call_in_flight():
    with Pool(jobs=2, cores=2) as pool:
        pool.submit(0, process_id, (0.0,))
        pool.submit(1, process_id, (3600.0,))
        assert [tag for tag, _ in pool.wait()] == [0]
        assert len(workers()) == 2
    assert not workers()
