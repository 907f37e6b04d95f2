"""Which kernels a server forks, and what it imports before: what many executions of a run use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgebook.runner import kernel
from edgebook.runner.key import source_of
from edgebook.runner.plan import Execution
from edgebook.source_key import Closure

SERVER = "edgebook.runner.kernel_server"
# distribution -> its module that is imported only when it is used, and takes long
LAZY = {
    "ai-edge-quantizer": "ai_edge_quantizer.quantizer",
    "executorch": "executorch.exir",
    "litert-torch": "litert_torch",
    "mnist1d": "mnist1d.data",
    "torch": "torch._dynamo",
    "torch-pruning": "torch_pruning",
}
SHARE = 4  # a module is imported before when one in so many executions uses it


@contextmanager
def kernel_servers(executions: list[Execution], sockets: Path, *, jobs: int, prepare: str | None) -> Iterator[dict[int, Path]]:
    """Number of threads -> address of a server that forks kernels with so many, for the number that most executions have.

    sockets: the folder for its own. prepare: what the server calls when its modules are imported. There is no server where it
    would not pay (every job has one execution only, or nothing large is imported), or where the system cannot have one.
    """
    pays = len(executions) > jobs and hasattr(os, "pidfd_open")
    least = -(-len(executions) // SHARE)
    modules = common_modules([source_of(execution) for execution in executions], least=least) if pays else []
    if not {*modules} & {*LAZY.values()}:
        yield {}
        return
    numbers = [kernel.cores(execution.params) for execution in executions]
    n_threads = max(numbers, key=numbers.count)
    arguments = [str(sockets / "server"), json.dumps({"modules": modules, "prepare": prepare})]
    environment = {**os.environ, **kernel.environment(n_threads)}
    with open(sockets / "log", "wb") as log:
        streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        process = subprocess.Popen([sys.executable, "-P", "-m", SERVER, *arguments], env=environment, **streams)
    try:
        yield {n_threads: sockets / "server"}
    finally:
        process.kill()
        process.wait()


def common_modules(sources: list[Closure], *, least: int) -> list[str]:
    """The modules that at least so many executions use: those of LAZY, and those of this package."""
    used = Counter(LAZY[name] for source in sources for name in source.versions if name in LAZY)
    used.update(name for source in sources for name in {place.partition(":")[0] for place in source.definitions} - {"__code__"})
    return [name for name, number in used.items() if number >= least]
