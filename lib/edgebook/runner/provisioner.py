"""How Jupyter gets a kernel from a kernel server: by a provisioner, its way to start kernels otherwise."""

from __future__ import annotations

import json
import os
import signal
import socket
from contextlib import suppress
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

NAME = "edgebook"
ADDRESS = "EDGEBOOK_KERNEL_SERVER"  # in the environment of a kernel: where a server listens


_started: list[int] = []  # process ids of the kernels of this process; the last one is the present one


def variables(address: Path | None) -> dict[str, str]:
    """What tells a kernel's provisioner where its server is."""
    return {} if address is None else {ADDRESS: str(address)}


def current() -> int | None:
    """The process id of the kernel that this process has started last; it leads a process group."""
    return _started[-1] if _started else None


def register() -> None:
    """Let this process start its kernels by `Provisioner`; none is started yet."""
    _started.clear()
    factory = KernelProvisionerFactory.instance()
    factory.provisioners[NAME] = EntryPoint(NAME, f"{__name__}:Provisioner", factory.GROUP_NAME)
    factory.default_provisioner_name = NAME


class Provisioner(LocalProvisioner):
    """Kernels that a server forks; processes of their own where there is no server, or none any more."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """The connection information of the kernel, which is starting."""
        env, cwd = kwargs["env"], kwargs.get("cwd") or os.getcwd()
        try:
            self.process = ForkedProcess(env[ADDRESS], {"argv": cmd[3:], "env": env, "cwd": str(cwd)})
        except (KeyError, OSError):
            await super().launch_kernel(cmd, **kwargs)
        else:
            self.pid = self.pgid = self.process.pid
            self.cwd = cwd
        _started.append(self.pid)
        return self.connection_info


class ForkedProcess:
    """What `subprocess.Popen` offers, of a kernel that a server has forked. Raises OSError when there is no server."""

    stdin = stdout = stderr = None

    def __init__(self, address: str, request: dict[str, Any]):
        self.returncode: int | None = None
        self.connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.connection.connect(address)
        socket.send_fds(self.connection, [json.dumps(request).encode()], [1, 2])
        answer = self.connection.recv(64)
        if not answer:
            raise ConnectionResetError("the kernel server has ended")
        self.pid = int(answer)

    def poll(self) -> int | None:
        """The exit code, None while the kernel runs."""
        with suppress(BlockingIOError):
            return self._exit_code(socket.MSG_DONTWAIT)
        return None

    def wait(self) -> int:
        """The exit code, once the kernel has ended."""
        return self._exit_code(0)

    def _exit_code(self, flags: int) -> int:
        if self.returncode is None:
            try:
                answer = self.connection.recv(64, flags)
            except ConnectionError:
                answer = b""
            self.returncode = int(answer or -signal.SIGKILL)  # a server takes its kernels along
            self.connection.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the kernel has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)
