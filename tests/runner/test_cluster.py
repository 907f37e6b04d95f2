"""A real scheduler and its workers in processes of their own: the same tables, and nothing lost when a worker dies."""

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import pytest

from edgebook.errors import BadInput
from edgebook.runner.execute import Run
from edgebook.runner.executors import dask
from edgebook.runner.executors.executor import Outcome
from edgebook.runner.executors.fingerprint import difference, fingerprint, question
from edgebook.runner.plan import Execution, plan
from edgebook.runner.preset import read_preset

HERE = Path(__file__).parent
NO_DATA = dict.fromkeys  # the same everywhere, and workers can import it


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
    return value


def read_json(file):
    """The content of a file, once it has been written to its end."""
    with suppress(OSError, ValueError):
        return json.loads(file.read_text())
    return None


class Cluster:
    """A scheduler, and workers that know the small notebooks."""

    def __init__(self, folder, environment):
        self.folder, self.environment, self.processes = folder, environment, []
        self.file = folder / "scheduler.json"
        self.start("distributed.cli.dask_scheduler", "--port", "0", "--host", "127.0.0.1", "--scheduler-file", self.file)
        self.address = wait_until(lambda: read_json(self.file))["address"]

    def start(self, module, *arguments, cwd=None, **environment):
        command = [sys.executable, "-m", module, "--no-dashboard", *map(str, arguments)]
        with open(self.folder / f"log-{len(self.processes)}", "wb") as log:
            streams = {"stdout": log, "stderr": log}
            process = subprocess.Popen(command, env=self.environment | environment, cwd=cwd or self.folder, **streams)
        self.processes.append(process)
        return process

    def worker(self, *arguments, cwd=None, **environment):
        """A worker with a store of its own, in a folder."""
        number = len(self.processes)
        environment = {"EDGEBOOK_STORE": str(self.folder / f"store-{number}"), "EDGEBOOK_REPORTS": "/nowhere"} | environment
        given = ["--scheduler-file", self.file, "--nthreads", "1", "--no-nanny", "--name", f"w{number}", *arguments]
        return self.start("distributed.cli.dask_worker", *given, "--preload", HERE / "small_run.py", cwd=cwd, **environment)


@pytest.fixture
def cluster(small_run, tmp_path):
    folder = tmp_path / "cluster"
    folder.mkdir()
    started = Cluster(folder, small_run.environment)
    yield started
    for process in started.processes:
        process.kill()
        process.wait()


def words(lines):
    return [line.split(": ", 1)[1].split(" (")[0] for line in lines if line[0] == "["]


def test_two_workers_give_the_tables_of_this_machine_and_a_killed_one_costs_nothing(cluster, small_run, preset, points):
    path = preset(points=[points(f"take a while {n}") for n in range(3)])
    workers = [cluster.worker(), cluster.worker()]
    run = small_run.start(path, "--scheduler", cluster.address)
    progress = small_run.folder / "progress.json"
    wait_until(lambda: len((read_json(progress) or {"running": []})["running"]) == 2)
    time.sleep(1)  # the two are under way
    workers[0].kill()
    out, errors = run.communicate(timeout=120)
    assert (run.returncode, errors) == (0, "")
    assert words(out.splitlines()) == ["ok"] * 4
    assert small_run.rows("90_read")[0]["extra"] == {"n": 6}, "it had the rows of the others"
    code, lines, _ = small_run(path)
    assert (code, words(lines)) == (0, ["found"] * 4), "everything arrived whole, as this machine would have made it"


NETWORK = """
import rich
def build(input_shape, n_outputs):
    return rich
"""


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="one path that is another place in every process: Linux only")
def test_records_of_workers_with_their_own_copies_of_data_and_network_are_believed(cluster, small_run, preset, tmp_path):
    """Each process finds the same content under the same path, but in files of its own, with other times."""
    folders = [tmp_path, tmp_path / "first", tmp_path / "second"]
    for number, folder in enumerate(folders):
        (folder / "data").mkdir(parents=True)
        for place, text in (("data/items.csv", "1,2"), ("net.py", NETWORK)):
            (folder / place).write_text(text)
            os.utime(folder / place, (number, number))
    for folder in folders[1:]:
        cluster.worker(cwd=folder)
    here = "/proc/self/cwd"
    path = preset(points=[{"task": f"{here}/data", "model": f"{here}/net.py:build"}], seeds=[0, 1])
    code, lines, errors = small_run(path, "--scheduler", cluster.address)
    assert (code, words(lines), errors) == (0, ["ok"] * 3, "")
    code, lines, _ = small_run(path)
    assert (code, words(lines)) == (0, ["found"] * 3)
    (folders[1] / "net.py").write_text(NETWORK + "1")
    code, lines, errors = small_run(path, "--scheduler", cluster.address, "--fresh")
    assert (code, words(lines), errors.count("is refused")) == (0, ["ok"] * 3, 1)
    assert f" is refused: {here}/net.py:build: net.py: " in errors


def test_libraries_of_the_users_network_are_compared(preset, tmp_path):
    (tmp_path / "net.py").write_text(NETWORK)
    model = f"{tmp_path}/net.py:build"
    asked = question(plan(read_preset(preset(points=[{"task": "digits", "model": model}])), "small"), NO_DATA)
    here = fingerprint(asked)
    assert difference(here, here | {f"{model}: rich": "1"}) == f"{model}: rich: 1 there, {version('rich')} here"


def test_a_scheduler_that_goes_away_is_one_line_and_what_has_ended_is_kept(cluster, small_run, preset, points):
    path = preset(points=[points("fine"), points("sleep")], once=[])
    cluster.worker()
    run = small_run.start(path, "--scheduler", cluster.address)
    progress = small_run.folder / "progress.json"
    wait_until(lambda: (there := read_json(progress)) and there["n_ok"] == 1 and there["running"])
    cluster.processes[0].kill()
    _, errors = run.communicate(timeout=60)
    gone = f"edgebook: --scheduler {cluster.address}: the scheduler is gone; what has ended is kept, the same command goes on"
    assert (run.returncode, errors.splitlines()) == (2, [gone])
    assert [json.loads(file.read_text())["status"] for file in (small_run.folder / "state").iterdir()] == ["ok"]


def executions(preset, **shared):
    return plan(read_preset(preset(shared=shared, once=[])), "small")


def test_what_keeps_a_run_from_a_cluster_is_one_line(cluster, preset, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(dask, "CONNECT_S", 1)
    with pytest.raises(BadInput, match=r"--scheduler tcp://127.0.0.1:1: no Dask scheduler answers there: "):
        dask.connect("tcp://127.0.0.1:1", [], NO_DATA)
    monkeypatch.setattr(dask, "CONNECT_S", 10)
    monkeypatch.setattr(dask, "ABSENT_S", 1.0)
    with pytest.raises(BadInput, match=rf"--scheduler {cluster.address}: no worker offers anything; see docs/cluster.md"):
        dask.connect(cluster.address, executions(preset), NO_DATA)

    others = tmp_path / "others"
    others.mkdir()
    (others / "20_sweep.ipynb").write_text("{}")
    cluster.worker("--resources", "latency=1", SMALL_NOTEBOOKS=str(others))
    cluster.worker("--resources", "gpu=1")
    monkeypatch.setattr(dask, "ABSENT_S", 60.0)
    on_gpu = [Execution("20_sweep", "train", {"device": "cuda"})]
    with dask.connect(cluster.address, on_gpu, NO_DATA) as connected:
        wait_until(lambda: connected.has_room(on_gpu[0]) and connected.refused)
        assert list(connected.workers.values()) == [{"gpu": 1}]
    assert "is refused: the source of edgebook: " in capsys.readouterr().err
    monkeypatch.setattr(dask, "ABSENT_S", 1.0)
    with pytest.raises(BadInput, match=r"no worker offers latency=1; tcp://\S+ is refused: the source of edgebook: \w+ there"):
        dask.connect(cluster.address, executions(preset, measure_s=0.1), NO_DATA)


def test_an_execution_that_no_worker_can_take_any_more_fails(cluster, preset, monkeypatch, tmp_path):
    worker = cluster.worker()
    (execution,) = executions(preset)
    run = Run(tmp_path / "run", (execution,), print)
    with dask.connect(cluster.address, [execution], NO_DATA) as connected:
        worker.kill()
        monkeypatch.setattr(dask, "ABSENT_S", 1.0)
        connected.submit(run, execution, "key")
        assert connected.wait() == [(execution.name, Outcome(error="no worker that offers anything for 1 s"))]
