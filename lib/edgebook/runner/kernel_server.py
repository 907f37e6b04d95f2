"""A process that has imported the slow libraries and forks a kernel for every notebook: fresh state, no imports to wait for.

It serves one UNIX socket, a connection for each kernel. The request is one message: JSON {argv, env, cwd}, with the descriptors
of stdout and stderr. The answers: the process id, and the exit code when the kernel has ended. A kernel whose connection is
closed is killed with its children, so that it never outlives the process that asked for it. For Linux.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import random
import selectors
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from edgebook.process import end_with_parent
from edgebook.registry import resolve
from edgebook.source_key import closure

LONGEST = 1 << 20  # bytes of a request: the environment is the longest part


@dataclass(frozen=True)
class Kernel:
    """A forked kernel, who asked for it, and a descriptor that is readable when it has ended."""

    pid: int
    connection: socket.socket
    ended: int


def main(address: str, modules: list[str], prepare: str | None) -> None:
    """Import the modules, call `prepare` ("module:function"), and serve the socket until the parent ends."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this process
    os.environ |= {"JPY_PARENT_PID": str(os.getpid()), "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen()  # who connects before the modules are imported waits
        for module in ("ipykernel.kernelapp", *modules):
            with suppress(ImportError):  # an import that fails, fails in the notebook too, or is caught there
                importlib.import_module(module)
        if prepare:
            resolve(prepare)()
        closure(*(f"{module}:" for module in modules if module.startswith("edgebook.")))  # parsed once, not in every kernel
        gc.freeze()  # what is there stays in shared pages
        serve(listener)


def serve(listener: socket.socket) -> None:
    """Fork a kernel for every connection; report its exit code; kill it when its connection is closed."""
    kernels: dict[int, Kernel] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    start(listener, selector, kernels)
                elif key.data in kernels:
                    end(kernels.pop(key.data), selector)


def start(listener: socket.socket, selector: selectors.BaseSelector, kernels: dict[int, Kernel]) -> None:
    """Accept a connection and fork its kernel."""
    connection, _ = listener.accept()
    message, descriptors, _, _ = socket.recv_fds(connection, LONGEST, 2)
    if not message:  # who asked is gone
        connection.close()
        return
    pid = os.fork()
    if pid == 0:
        for resource in (listener, connection, *(kernel.connection for kernel in kernels.values())):
            resource.close()
        become_kernel(json.loads(message), descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    kernels[pid] = Kernel(pid, connection, os.pidfd_open(pid))
    for source in (connection, kernels[pid].ended):
        selector.register(source, selectors.EVENT_READ, pid)
    with suppress(OSError):
        connection.send(str(pid).encode())


def end(kernel: Kernel, selector: selectors.BaseSelector) -> None:
    """Kill what is left of a kernel and of its children, and report its exit code."""
    for kill in (os.killpg, os.kill):
        with suppress(OSError):
            kill(kernel.pid, signal.SIGKILL)
    _, status = os.waitpid(kernel.pid, 0)
    with suppress(OSError):
        kernel.connection.send(str(os.waitstatus_to_exitcode(status)).encode())
    for source in (kernel.connection, kernel.ended):
        selector.unregister(source)
    kernel.connection.close()
    os.close(kernel.ended)


def become_kernel(request: dict[str, Any], descriptors: list[int]) -> None:
    """Be the kernel of a request in this process, which was just forked. Raises SystemExit at its end."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for target, source in enumerate((os.open(os.devnull, os.O_RDONLY), *descriptors)):
        os.dup2(source, target)
        os.close(source)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    random.seed()  # else all kernels would draw the same numbers
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    from ipykernel.kernelapp import launch_new_instance

    launch_new_instance(argv=request["argv"])
    raise SystemExit


if __name__ == "__main__":
    main(sys.argv[1], **json.loads(sys.argv[2]))
