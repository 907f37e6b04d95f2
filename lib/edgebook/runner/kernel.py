"""What a kernel gets: sockets of its own, an environment with its share of the cores, an end when its execution ends."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgebook import files

LONGEST_FOLDER = 60  # characters: the path of a socket may have about a hundred
START_S = 180  # for a kernel, on a machine that is busy
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
ARGUMENTS = ("--IPKernelApp.ignore_cwd=True", "--IPKernelApp.exec_lines=__import__('edgebook.process').process.end_with_parent()")


def sockets_folder() -> Path:
    """Where sockets may be: a folder with a short path, whatever TMPDIR says."""
    folders = (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp"), Path.home())
    return next((folder for folder in folders if len(str(folder)) <= LONGEST_FOLDER and os.access(folder, os.W_OK)), folders[0])


@contextmanager
def folder_for_sockets(inside: Path | None = None) -> Iterator[Path]:
    """A new folder until the end of the block: `inside` the one of a run, which is removed with all in it, or by itself."""
    if inside and inside.is_dir():
        with files.temporary_folder(inside, "") as folder:
            yield folder
    else:
        with files.temporary_folder(sockets_folder(), files.SCRATCH) as folder:
            yield folder


def config(sockets: Path) -> Any:
    """Sockets in that folder: kernels that start at the same time on TCP race for ports."""
    from traitlets.config import Config

    return Config(KernelManager={"transport": "ipc", "ip": f"{sockets}/k", "connection_file": f"{sockets}/kernel.json"})


def cores(params: dict[str, Any]) -> int:
    """How many cores an execution with these parameters computes on."""
    return max(params.get("train_threads", 1), params.get("threads", 1))


def environment(n_threads: int) -> dict[str, str]:
    """What kernels find beside the environment of this process: this Python, no modules of the current folder, quiet runtimes."""
    return {
        **dict.fromkeys(THREADS, str(n_threads)),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "PYTHONSAFEPATH": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TQDM_DISABLE": "1",
    }


@contextmanager
def environment_of_kernels(values: dict[str, str]) -> Iterator[None]:
    """Set these variables in this process, from which kernels inherit them, until the end of the block."""
    saved = dict(os.environ)
    os.environ |= values
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)
