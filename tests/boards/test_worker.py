"""Workers: a process that dies, hangs, or loses its parent ends alone and with one line; nothing of the working folder runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import onnx_files
import pytest

from edgebook.boards.worker import Worker
from edgebook.runtimes.base import Artifact

STARTER = """
import time
from pathlib import Path
from edgebook.boards.worker import Worker
from edgebook.runtimes.base import Artifact
worker = Worker(Artifact(Path({path!r}), "onnx", "fp32"), threads=1, limit_s=600)
print(worker.process.pid, flush=True)
worker.ask()
time.sleep(600)
"""


@pytest.fixture
def linear(tmp_path):
    return Artifact(onnx_files.linear(tmp_path / "good.onnx"), "onnx", "fp32")


def is_alive(pid: int) -> bool:
    """Whether a process runs; a dead one that nobody has waited for does not."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ends_within(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while is_alive(pid) and time.monotonic() < end:
        time.sleep(0.1)
    return not is_alive(pid)


def test_answers_come_in_order(linear, tmp_path):
    worker = Worker(linear, threads=1, limit_s=60)
    loaded = worker.ask()
    assert (loaded["input_shape"], loaded["batch"], loaded["calls"], loaded["not_scored"]) == (list(onnx_files.SHAPE), 1, 1, None)
    x = np.random.default_rng(0).standard_normal((5, *onnx_files.SHAPE)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    worker.ask(do="score", x=str(tmp_path / "x.npy"), y=str(tmp_path / "y.npy"))
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), x.reshape(5, -1) @ onnx_files.WEIGHT, rtol=1e-5)
    assert worker.ask(do="time", seconds=0.01)["n"] >= 3
    worker.close()
    worker.close()


def test_a_process_that_dies_is_one_line(linear):
    worker = Worker(linear, threads=1, limit_s=60)
    worker.ask()
    worker.process.kill()
    with pytest.raises(RuntimeError, match="the process died: killed by SIGKILL"):
        worker.ask(do="time", seconds=0.1)
    worker.close()


def test_a_file_that_does_not_load_is_one_line(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"this is not a network")
    worker = Worker(Artifact(tmp_path / "x.onnx", "onnx", "fp32"), threads=1, limit_s=60)
    with pytest.raises(RuntimeError, match="cannot load it") as caught:
        worker.ask()
    assert "\n" not in str(caught.value)
    worker.close()


def test_an_endless_call_ends_at_its_limit(tmp_path):
    worker = Worker(Artifact(onnx_files.endless(tmp_path / "endless.onnx"), "onnx", "fp32"), threads=1, limit_s=3)
    with pytest.raises(RuntimeError, match="no answer within 3 s"):
        worker.ask()
    assert ends_within(worker.process.pid, 10)


@pytest.mark.parametrize("make", [onnx_files.linear, onnx_files.endless], ids=["idle", "endless call"])
def test_a_worker_ends_with_its_parent(make, tmp_path):
    """The parent is killed: it cannot clean up, and a native call does not notice it."""
    code = STARTER.format(path=str(make(tmp_path / "file.onnx")))
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    time.sleep(2)
    assert is_alive(pid)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    assert ends_within(pid, 30)


def test_nothing_in_the_working_folder_is_imported(linear, tmp_path, monkeypatch):
    for module in ("numpy", "json", "onnxruntime"):
        (tmp_path / f"{module}.py").write_text("open('imported', 'w').close(); raise RuntimeError")
    monkeypatch.chdir(tmp_path)
    worker = Worker(linear, threads=1, limit_s=60)
    worker.ask()
    worker.close()
    assert not (tmp_path / "imported").exists()
