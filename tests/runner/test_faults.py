"""Faults from outside: kill -9 at any moment, a full disk. The same command goes on, and nothing stays behind."""

import os
import random
import resource
import subprocess
import tempfile
import time
from contextlib import suppress

import psutil
import pytest

KILLS = 4


@pytest.fixture
def tmpdir_of_runs():
    """A short TMPDIR, so that sockets are in it."""
    with tempfile.TemporaryDirectory(prefix="e-", dir="/tmp") as folder:
        yield folder


def alive(tmpdir):
    """The processes of runs with this TMPDIR."""
    living = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("TMPDIR") == tmpdir and process.status() != psutil.STATUS_ZOMBIE:
                living.append(process)
    return living


def test_kill_9_at_random_moments_costs_only_time(small_run, preset, points, tmpdir_of_runs):
    """Of the run itself, of a process that executes, of a kernel: whatever there is at that moment."""
    path, chance = preset(points=[points(f"take a while {n}") for n in range(3)]), random.Random(17)
    for _ in range(KILLS):
        run = small_run.start(path, TMPDIR=tmpdir_of_runs)
        time.sleep(chance.uniform(0.2, 4))
        with suppress(IndexError, psutil.Error):  # it has ended by itself
            chance.choice(alive(tmpdir_of_runs)).kill()
        _, errors = run.communicate(timeout=60)
        assert "Traceback" not in errors
        end = time.monotonic() + 10
        while alive(tmpdir_of_runs) and time.monotonic() < end:
            time.sleep(0.1)
        assert not alive(tmpdir_of_runs), "nothing outlives a run"
    time.sleep(2)  # what is younger may belong to somebody who is alive
    code, _, errors = small_run(path, TMPDIR=tmpdir_of_runs)
    assert (code, errors) == (0, "")
    assert small_run.rows("90_read")[0]["extra"] == {"n": 6}
    rows = [small_run.rows(file.stem) for file in sorted((small_run.folder / "rows").glob("20_sweep*"))]
    assert [[(row["label"], row["status"]) for row in each] for each in rows] == [[("row 0", "ok"), ("row 1", "ok")]] * 3
    assert os.listdir(tmpdir_of_runs) == []
    assert not [file for file in small_run.home.rglob("*") if file.name.startswith(".") or file.suffix == ".lock"]


@pytest.fixture
def small_disk(small_run):
    """A file system of 300 kB at the place of the reports."""
    folder = small_run.folder.parent
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "edgebook", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.usefixtures("small_disk")
def test_a_full_disk_is_one_line_and_what_is_finished_stays(small_run, preset, points):
    path = preset(points=[points("fine"), points("fill the disk")])
    code, lines, errors = small_run(path, "--jobs", "1", SMALL_FILL="yes")
    assert code == 2, (lines, errors)
    assert errors.count("\n") == 1
    assert errors.startswith(f"edgebook: {small_run.folder}/")
    assert errors.endswith(": cannot be written: No space left on device\n")
    assert [line.split(": ")[1][:2] for line in lines] == ["ok"]

    (small_run.folder / "filler").unlink()
    code, lines, errors = small_run(path)
    assert (code, errors) == (0, "")
    assert [line.split(": ")[1].split(" (")[0] for line in lines] == ["found", "ok", "ok"]


def test_a_quota_fails_what_exceeds_it_with_the_reason(small_run, preset, points):
    path = preset(points=[points("fine")], once=[])
    run = small_run.start(path)
    resource.prlimit(run.pid, resource.RLIMIT_FSIZE, (2000, 2000))  # the executed notebook is larger
    out, errors = run.communicate(timeout=60)
    assert (run.returncode, errors) == (1, "")
    assert "FAILED: OSError: [Errno 27] File too large" in out
    code, lines, errors = small_run(path)
    assert (code, errors) == (0, "")
    assert ": ok (" in lines[0]
