"""Calls in processes: in any order, each with its own outcome; a process that dies takes one call along."""

import os
import signal
import time

import psutil
import pytest

from edgebook.errors import BadInput
from edgebook.runner.executors import local


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


def test_processes_are_used_again_and_there_are_no_more_than_asked_for():
    outcomes = list(local.run(process_id, [(0.1,)] * 6, jobs=2))
    assert sorted(index for index, _ in outcomes) == list(range(6))
    assert len({outcome.value for _, outcome in outcomes}) == 2
    assert os.getpid() not in {outcome.value for _, outcome in outcomes}


@pytest.mark.parametrize("jobs", [1, 2])
def test_each_call_has_its_own_outcome(jobs):
    calls = ["fine", "die", "raise", "exit", "refuse", "also fine"]
    outcomes = dict(local.run(act, [(what,) for what in calls], jobs=jobs))
    assert [outcomes[n].value for n in range(6)] == ["fine", None, None, None, None, "also fine"]
    assert [outcomes[n].error for n in range(6)] == [
        None,
        "its process ended: SIGKILL, perhaps out of memory",
        "ValueError: no",
        "its process ended: exit code 3",
        "threads = 0",
        None,
    ]


def test_nothing_to_do_starts_nothing():
    assert list(local.run(act, [], jobs=2)) == []


def workers():
    return [child for child in psutil.Process().children() if any("spawn_main" in text for text in child.cmdline())]


def test_leaving_ends_the_processes_and_does_not_wait_for_the_call_in_flight():
    calls = local.run(process_id, [(0.0,), (3600.0,)], jobs=2)
    next(calls)
    assert workers()
    calls.close()
    assert not workers()
