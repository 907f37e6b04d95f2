"""A machine over SSH: an sshd of this test on the loopback address, with keys of its own."""

import getpass
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx_files
import pytest

from edgebook.boards import ssh
from edgebook.boards.worker import Worker
from edgebook.errors import BadInput
from edgebook.runtimes.base import Artifact

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin:/bin")
needs_sshd = pytest.mark.skipif(not (SSHD and shutil.which("ssh")), reason="openssh-server or ssh is not installed")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """(URL of an sshd, the ssh_config that knows its key)."""
    folder, port = tmp_path_factory.mktemp("sshd"), free_port()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    (folder / "authorized").write_text((folder / "user.pub").read_text())
    (folder / "known").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nStrictModes no\nUsePAM no\nPidFile none\n"
    )
    (folder / "config").write_text(f"Host *\n IdentityFile {folder}/user\n UserKnownHostsFile {folder}/known\n")
    Path("/run/sshd").mkdir(parents=True, exist_ok=True)  # sshd needs it, and only a service makes it
    process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=subprocess.DEVNULL)
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield f"ssh://{getpass.getuser()}@127.0.0.1:{port}{sys.executable}", folder / "config"
    process.terminate()
    process.wait()


@pytest.fixture
def url(server, monkeypatch):
    monkeypatch.setenv(ssh.CONFIG, str(server[1]))
    return server[0]


@needs_sshd
def test_a_file_runs_there_and_its_outputs_come_back(url, tmp_path):
    file = Artifact(onnx_files.linear(tmp_path / "linear.onnx"), "onnx", "fp32")
    x = np.random.default_rng(0).standard_normal((5, *onnx_files.SHAPE)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    with ssh.board(url) as board:
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
def test_what_keeps_a_file_from_running_is_one_line(url, tmp_path):
    lacking = Artifact(tmp_path / "net.onnx", "onnx", "fp32")
    lacking.path.write_bytes(b"nothing")
    with ssh.board(url.removesuffix(sys.executable) + "/usr/bin/python3") as board:
        worker = Worker(lacking, threads=1, limit_s=60, board=board)
        with pytest.raises(RuntimeError, match=r"numpy|onnxruntime") as raised:
            worker.ask()
        worker.close()
    assert "\n" not in str(raised.value)


@needs_sshd
def test_who_cannot_be_reached_or_is_unknown_is_one_line(url, server, tmp_path, monkeypatch):
    with pytest.raises(RuntimeError, match=r"127\.0\.0\.1:\d+: .*refused"), ssh.board(f"ssh://127.0.0.1:{free_port()}"):
        pass
    (tmp_path / "config").write_text(f"Host *\n IdentityFile {server[1].parent}/user\n UserKnownHostsFile /dev/null\n")
    monkeypatch.setenv(ssh.CONFIG, str(tmp_path / "config"))
    with pytest.raises(RuntimeError, match=r"its host key is unknown or has changed; connect once with ssh"), ssh.board(url):
        pass
    (tmp_path / "config").write_text(f"Host *\n IdentityFile /dev/null\n UserKnownHostsFile {server[1].parent}/known\n")
    with pytest.raises(RuntimeError, match="no key of this user is accepted there"), ssh.board(url):
        pass


@needs_sshd
def test_a_machine_that_does_not_answer_ends_at_its_limit(url, monkeypatch):
    with ssh.board(url) as board:
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
