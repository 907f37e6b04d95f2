"""Kernels that are forked: fresh, in the environment of their execution, and gone with whoever asked for them."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest

from edgebook.files import SCRATCH, temporary_folder
from edgebook.runner import kernel
from edgebook.runner.execute import Run, execute
from edgebook.runner.plan import plan
from edgebook.runner.preload import SERVER
from edgebook.runner.preset import read_preset
from edgebook.runner.provisioner import ForkedProcess

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="kernels are forked on Linux only")


@pytest.fixture(scope="module")
def server():
    """(process, address) of a server that has imported nothing but a kernel."""
    with temporary_folder(kernel.sockets_folder(), SCRATCH) as folder:
        arguments = [str(folder / "server"), json.dumps({"modules": ["no_such_module"], "prepare": None})]
        process = subprocess.Popen([sys.executable, "-P", "-m", SERVER, *arguments], stderr=subprocess.DEVNULL)
        while not (folder / "server").exists():
            time.sleep(0.02)
        yield process, folder / "server"
        process.kill()
        process.wait()


def start(address, tmp_path, **environment):
    """A forked kernel, once it listens."""
    file = tmp_path / f"kernel-{time.time_ns()}.json"
    env = {**os.environ, **environment}
    forked = ForkedProcess(str(address), {"argv": ["-f", str(file)], "env": env, "cwd": str(tmp_path)})
    wait_until(file.exists)
    return forked


def wait_until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_gone(pid):
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


def test_a_kernel_is_a_child_of_the_server_in_its_own_folder_and_environment(server, tmp_path):
    process, address = server
    forked = start(address, tmp_path, EDGEBOOK_TEST="here")
    there = psutil.Process(forked.pid)
    assert there.ppid() == process.pid
    assert there.cwd() == str(tmp_path)
    assert os.getpgid(forked.pid) == forked.pid
    assert forked.poll() is None
    forked.kill()
    assert forked.wait() == -signal.SIGKILL
    assert is_gone(forked.pid)


def test_a_kernel_ends_when_who_asked_for_it_is_gone(server, tmp_path):
    _, address = server
    forked = start(address, tmp_path)
    forked.connection.close()
    wait_until(lambda: is_gone(forked.pid))


@pytest.fixture
def executed(preset, notebooks, tmp_path, monkeypatch):
    """A function that executes the first small notebook by a server: (its record, process ids of kernel and parent)."""

    def execute_by(address, **changes):
        monkeypatch.setenv("EDGEBOOK_REPORTS", str(tmp_path / "reports"))
        executions = tuple(plan(read_preset(preset(once=[], **changes)), "small"))
        run = Run(tmp_path / "reports" / "small", executions, page, kernel_servers={1: address})
        record = execute(run, executions[0], run.key(executions[0]))
        pids = (run.folder / "pids" / executions[0].name).read_text().split()
        return record, [int(pid) for pid in pids]

    return execute_by


def page(notebook, html):
    html.parent.mkdir(parents=True, exist_ok=True)
    html.write_text("")


def test_a_notebook_is_executed_in_a_forked_kernel_where_its_threads_are_those_of_the_server(server, executed):
    process, address = server
    record, (_, parent) = executed(address)
    assert (record.status, parent) == ("ok", process.pid)
    record, (_, parent) = executed(address, shared={"threads": 2})
    assert (record.status, parent) == ("ok", os.getpid()), "a kernel with other threads is a process of its own"


def test_without_its_server_a_notebook_gets_a_process_of_its_own(executed, tmp_path):
    record, (_, parent) = executed(tmp_path / "no server")
    assert (record.status, parent) == ("ok", os.getpid())


def test_kernels_end_with_their_server(server, tmp_path):
    process, address = server
    forked = start(address, tmp_path)
    process.kill()
    assert forked.wait() == -signal.SIGKILL
    wait_until(lambda: is_gone(forked.pid))
