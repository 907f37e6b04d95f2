"""An sshd of the tests on the loopback address, with keys of its own."""

import getpass
import shlex
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgebook.boards.ssh import CONFIG

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin:/bin")
needs_sshd = pytest.mark.skipif(not (SSHD and shutil.which("ssh")), reason="openssh-server or ssh is not installed")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def ssh_server(tmp_path_factory):
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
def ssh_url(ssh_server, monkeypatch):
    """The URL of that sshd, which `ssh` knows for the time of a test."""
    monkeypatch.setenv(CONFIG, str(ssh_server[1]))
    return ssh_server[0]


def script(path: Path, text: str) -> Path:
    """An executable shell script."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def bare_python(folder: Path) -> Path:
    """A Python that has numpy, and no runtime."""
    import numpy

    (folder / "site").mkdir()
    for name in ("numpy", "numpy.libs"):
        (folder / "site" / name).symlink_to(Path(numpy.__file__).parents[1] / name)
    return script(folder / "python", f'PYTHONPATH="$PYTHONPATH:{folder}/site" exec {shlex.quote(sys.executable)} -S "$@"')
