"""A machine over SSH: an sshd of the tests on the loopback address."""

import shlex
import sys
from pathlib import Path

import numpy as np
import onnx_files
import pytest
from ssh_server import bare_python, free_port, needs_sshd, script

from edgebook.boards import ssh
from edgebook.boards.worker import Worker
from edgebook.errors import BadInput, Unsupported
from edgebook.runtimes.base import Artifact


@needs_sshd
def test_a_file_runs_there_and_its_outputs_come_back(ssh_url, tmp_path):
    file = Artifact(onnx_files.linear(tmp_path / "linear.onnx"), "onnx", "fp32")
    x = np.random.default_rng(0).standard_normal((5, *onnx_files.SHAPE)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    with ssh.board(ssh_url) as board:
        worker = Worker(file, threads=1, limit_s=60, board=board)
        assert worker.ask()["input_shape"] == list(onnx_files.SHAPE)
        worker.ask(do="score", x=str(tmp_path / "x.npy"), y=str(tmp_path / "y.npy"))
        assert worker.ask(do="time", seconds=0.01)["n"] >= 3
        about = board.describe()
        folder = Path(board.path("any")).parent
        assert folder.is_dir()
        worker.close()
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), x.reshape(5, -1) @ onnx_files.WEIGHT, rtol=1e-5)
    assert {"cpu", "governor", "temperature_c", "throttled"} <= about.keys()
    assert not folder.exists()


@needs_sshd
def test_a_runtime_that_is_missing_there_is_one_line(ssh_url, tmp_path):
    file = Artifact(onnx_files.linear(tmp_path / "linear.onnx"), "onnx", "fp32")
    with ssh.board(ssh_url.removesuffix(sys.executable) + str(bare_python(tmp_path))) as board:
        worker = Worker(file, threads=1, limit_s=60, board=board)
        with pytest.raises(
            Unsupported, match=r"^onnx cannot be loaded by /.* on \w+: .*No module named 'onnxruntime'$"
        ) as raised:
            worker.ask()
        worker.close()
    assert raised.value.code == "library"


@needs_sshd
def test_a_python_that_cannot_be_used_is_one_line(ssh_url, tmp_path):
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + (2).to_bytes(2, "little") + (0xF3).to_bytes(2, "little") + bytes(44)
    (tmp_path / "riscv").write_bytes(header)
    (tmp_path / "riscv").chmod(0o755)
    old = script(tmp_path / "old", 'echo "its Python is 3.9.2; 3.11 or newer is needed" >&2; exit 1')
    bare = script(tmp_path / "bare", f'exec {shlex.quote(sys.executable)} -S "$@"')
    plain = tmp_path / "plain"
    plain.write_text("no program")
    reasons = {
        tmp_path / "riscv": "its Python is for another processor architecture",
        tmp_path / "none": "there is no Python at the path that was given",
        plain: "its Python must not be executed by this user",
        bare: f"its Python {sys.executable} cannot import numpy: No module named 'numpy'",
        old: "its Python is 3.9.2; 3.11 or newer is needed",
    }
    for python, reason in reasons.items():
        with pytest.raises(RuntimeError) as raised, ssh.board(ssh_url.removesuffix(sys.executable) + str(python)):
            pass
        assert str(raised.value).partition(": ")[2] == reason


@needs_sshd
def test_a_file_is_sent_once_and_again_when_it_has_changed(ssh_url, tmp_path):
    source = tmp_path / "x.npy"
    source.write_text("first")
    with ssh.board(ssh_url) as board:
        there = Path(board.send(str(source)))
        assert there.read_text() == "first"
        there.write_text("changed there")
        board.send(str(source))
        assert there.read_text() == "changed there"
        source.write_text("second")
        board.send(str(source))
        assert there.read_text() == "second"


@needs_sshd
def test_who_cannot_be_reached_or_is_unknown_is_one_line(ssh_url, ssh_server, tmp_path, monkeypatch):
    with pytest.raises(RuntimeError, match=r"127\.0\.0\.1:\d+: .*refused"), ssh.board(f"ssh://127.0.0.1:{free_port()}"):
        pass
    (tmp_path / "config").write_text(f"Host *\n IdentityFile {ssh_server[1].parent}/user\n UserKnownHostsFile /dev/null\n")
    monkeypatch.setenv(ssh.CONFIG, str(tmp_path / "config"))
    with pytest.raises(RuntimeError, match=r"its host key is unknown or has changed; connect once with ssh"), ssh.board(ssh_url):
        pass
    (tmp_path / "config").write_text(f"Host *\n IdentityFile /dev/null\n UserKnownHostsFile {ssh_server[1].parent}/known\n")
    with pytest.raises(RuntimeError, match="no key of this user is accepted there"), ssh.board(ssh_url):
        pass


@needs_sshd
def test_a_machine_that_does_not_answer_ends_at_its_limit(ssh_url, monkeypatch):
    with ssh.board(ssh_url) as board:
        monkeypatch.setattr(ssh, "TIMEOUT_S", 0.0)
        with pytest.raises(RuntimeError, match=r"127\.0\.0\.1:\d+: no answer within 0 s"):
            board.describe()
        monkeypatch.undo()


@pytest.mark.parametrize("url", ["ssh://", "http://pi", "ssh://pi:x", "ssh://-oProxyCommand=x", "pi@board"])
def test_another_url_is_refused(url):
    with pytest.raises(BadInput, match="allowed: host, or ssh://user@host:port/path/of/python"):
        ssh.address(url)


def test_a_url_has_a_host_perhaps_a_port_and_a_python():
    assert ssh.address("ssh://pi@board") == ssh.Address("pi@board", None, "python3")
    full = ssh.address("ssh://pi@board:2222/home/pi/venv/bin/python")
    assert (full.host, full.port, full.python, full.name) == ("pi@board", 2222, "/home/pi/venv/bin/python", "board:2222")
