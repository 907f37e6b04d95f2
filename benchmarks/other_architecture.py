"""The files of a run on 64-bit Arm, emulated: are their outputs those of this machine?

    python benchmarks/other_architecture.py reports/quick --folder /tmp/arm64    # fetches an Arm Python once

Needs Debian's apt-get and dpkg, and pip: qemu-user-static, an arm64 Python and the arm64 wheels of numpy, onnxruntime and
ai-edge-litert are unpacked into the folder, nothing is installed. Emulated instructions take no known time: none is given.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from edgebook.boards.board import Board, bench_arguments, bench_environment
from edgebook.boards.worker import Worker
from edgebook.paths import CHECKOUT
from edgebook.rows import Row, read_rows
from edgebook.runtimes.base import Artifact
from edgebook.tasks import load_task
from edgebook.tasks.task import Task

N_ITEMS = 200  # test items, at most
LIMIT_S = 1800
SYSTEM = (
    *("libc6", "libgcc-s1", "libstdc++6", "libatomic1", "zlib1g", "libexpat1", "libffi8", "libssl3", "libbz2-1.0", "liblzma5"),
    *("libuuid1", "libcrypt1", "libpython3.11-minimal", "libpython3.11-stdlib", "python3.11-minimal"),
)
WHEELS = ("numpy", "onnxruntime", "ai-edge-litert", "flatbuffers", "packaging", "protobuf", "tqdm", "typing_extensions")
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")
CORE = """processor\t: {number}
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

"""  # a Cortex-A72: without it the runtimes read the /proc/cpuinfo of this machine, and crash
HEADER = "| file | runtime | numbers | items | equal outputs % | largest difference, % of the range | same predictions % |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a run")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "arm64", help="where the Arm Python is kept")
    options = parser.parse_args()
    folder = options.folder.resolve()
    if not (folder / "ready").exists():
        fetch(folder)
        (folder / "ready").touch()
    arm = Board(partial(start, folder=folder), send=str, path=str, fetch=lambda path: None, limit_s=LIMIT_S)
    print(HEADER + "\n|---|---|---|---|---|---|---|")
    for row in read_rows(options.run):
        if row["status"] == "ok" and row["runtime"] in ("onnx", "litert") and not row["extra"].get("over_ssh"):
            print(line(row, options.run, arm), flush=True)


def fetch(folder: Path) -> None:
    """An emulator, and a root folder of arm64 with a Python and its packages."""
    for name in ("root/site", "root/proc", "debs", "emulator", "wheels", "state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    arm = ["APT::Architecture=arm64", "APT::Architectures=arm64", f"Dir::State={folder}/state", f"Dir::Cache={folder}/cache"]
    apt = ["apt-get", *(f"-o{option}" for option in [*arm, "Dir::State::status=/dev/null"])]
    run([*apt, "update"], folder)
    run([*apt, "download", *SYSTEM], folder / "debs")
    run(["apt-get", "download", "qemu-user-static"], folder / "emulator")
    for package in (folder / "debs").glob("*.deb"):
        run(["dpkg", "-x", str(package), "root"], folder)
    run(["dpkg", "-x", str(next((folder / "emulator").glob("*.deb"))), "emulator"], folder)
    platforms = [part for platform in PLATFORMS for part in ("--platform", platform)]
    chosen = ["--python-version", "3.11", "--only-binary=:all:", "--no-deps", *platforms]
    run([sys.executable, "-m", "pip", "download", "-q", *chosen, "-d", "wheels", *WHEELS], folder)
    for wheel in (folder / "wheels").glob("*.whl"):
        run([sys.executable, "-m", "zipfile", "-e", str(wheel), "root/site"], folder)
    (folder / "root" / "proc" / "cpuinfo").write_text("".join(CORE.format(number=n) for n in range(os.cpu_count() or 1)))


def run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:3])}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")


def start(artifact: Artifact, *, threads: int, shape: tuple[int, ...], errors: IO[bytes], folder: Path) -> subprocess.Popen:
    """`measure.bench` under emulation, with pipes to its stdin and stdout."""
    variables = {**bench_environment(threads), "PYTHONPATH": f"{CHECKOUT}/lib:{folder}/root/site", "PYTHONDONTWRITEBYTECODE": "1"}
    emulator = [str(folder / "emulator/usr/bin/qemu-aarch64-static"), "-cpu", "cortex-a72", "-L", str(folder / "root")]
    settings = [part for name, value in variables.items() for part in ("-E", f"{name}={value}")]
    command = [*emulator, *settings, str(folder / "root/usr/bin/python3.11"), "-P"]
    command += bench_arguments(artifact, str(artifact.path), threads=threads, shape=shape)
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, bufsize=0)


def line(row: Row, run_dir: Path, arm: Board) -> str:
    """A file's outputs here and there."""
    task = load_task(row["task"])
    file = Artifact((run_dir / row["artifact"]).resolve(), row["runtime"], row["precision"])
    head = f"| {row['model']}, {row['label']} | {row['runtime']} | {row['precision']} |"
    with tempfile.TemporaryDirectory() as name:
        try:
            here, there = (outputs(file, task, Path(name), **where) for where in ({}, {"board": arm}))
        except RuntimeError as error:
            return f"{head} {error} | | | |"
    apart, answers = np.abs(here - there), [task.kind.predict(y, task.x_test.numpy()[: len(y)]) for y in (here, there)]
    same = (answers[0] == answers[1]).reshape(len(here), -1).all(1)
    figures = f"{100 * (apart == 0).mean():.1f} | {100 * apart.max() / np.ptp(here):.2g} | {100 * same.mean():.1f}"
    return f"{head} {len(here)} | {figures} |"


def outputs(file: Artifact, task: Task, folder: Path, **where: Any) -> np.ndarray:
    x, y = folder / "x.npy", folder / "y.npy"
    np.save(x, task.x_test[:N_ITEMS].numpy())
    worker = Worker(file, threads=1, limit_s=LIMIT_S, shape=task.input_shape, **where)
    try:
        worker.ask()
        worker.ask(do="score", x=str(x), y=str(y))
        return np.load(y)
    finally:
        worker.close()


if __name__ == "__main__":
    main()
