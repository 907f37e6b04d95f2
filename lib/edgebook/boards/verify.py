"""A bundle checked: every hash first, then the golden vectors in every runtime that is here."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgebook.boards import emulated
from edgebook.boards.bundle import FORMAT, sha256
from edgebook.errors import BadInput, Unsupported
from edgebook.files import scratch
from edgebook.runtimes.c import host

Predict = Callable[[np.ndarray], np.ndarray]  # float inputs (n, ...) -> float outputs (n, n_outputs)
TIMEOUT_S = 60


@dataclass(frozen=True)
class Check:
    """One check: `ok` is None where it could not be made here, and `text` says why."""

    name: str
    ok: bool | None
    text: str


def verify(folder: Path, *, runtimes: dict[str, Callable[[Path], Predict]], manifest_sha256: str | None = None) -> list[Check]:
    """Every check of a bundle. Nothing in it is loaded, compiled or run unless all hashes are equal.

    runtimes: name -> a function that loads a file and gives its predict; one that raises Unsupported cannot run this file.
    manifest_sha256: what `bundle` returned. Without it a manifest that was exchanged together with its files goes unnoticed,
    and a bundle is a program that is compiled and run here. Raises BadInput for a folder that is no bundle.
    """
    manifest = _manifest(folder)
    hashes = _check_hashes(folder, manifest, manifest_sha256)
    if not all(check.ok for check in hashes):
        return hashes
    golden = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
    vectors = [_check_runtime(name, load, folder / manifest["file"], golden) for name, load in runtimes.items()]
    return [*hashes, *vectors, _check_example(folder), _check_firmware(folder)]


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{folder}: is no bundle: {error}") from None
    known = isinstance(manifest, dict) and manifest.get("format") == FORMAT and isinstance(manifest.get("files"), dict)
    names = [*manifest["files"], manifest.get("file")] if known else []
    if not known or not all(isinstance(name, str) and name == Path(name).name and name not in ("", "..") for name in names):
        raise BadInput(f"{path}: is no manifest of format {FORMAT} with plain file names")
    if missing := {manifest["file"], "golden.json"} - manifest["files"].keys():
        raise BadInput(f"{path}: does not list {', '.join(sorted(missing))}")
    return manifest


def _check_hashes(folder: Path, manifest: dict[str, Any], expected: str | None) -> list[Check]:
    """One check per file of the manifest, one per file that it does not list, one for the manifest where its hash is known."""
    checks = []
    if expected is not None:
        same = sha256(folder / "manifest.json") == expected
        checks.append(Check("manifest.json", same, "hash equal" if same else "is not the manifest that was made"))
    for name, digest in manifest["files"].items():
        path = folder / name
        if path.is_symlink() or not path.is_file():
            checks.append(Check(name, False, "is missing or no plain file"))
        else:
            same = sha256(path) == digest
            checks.append(Check(name, same, "hash equal" if same else "was changed: its SHA-256 differs from the manifest's"))
    extra = sorted({path.name for path in folder.iterdir()} - manifest["files"].keys() - {"manifest.json"})
    return checks + [Check(name, False, "is not in the manifest") for name in extra]


def _check_runtime(name: str, load: Callable[[Path], Predict], file: Path, golden: dict[str, Any]) -> Check:
    """The golden vectors in one runtime."""
    try:
        outputs = load(file)(np.array(golden["inputs"], np.float32))
    except Unsupported as error:
        return Check(name, None, str(error))
    wanted = np.array(golden["outputs"], np.float32)
    if outputs.shape != wanted.shape:
        return Check(name, False, f"outputs have shape {outputs.shape}, the golden ones {wanted.shape}")
    apart = np.abs(outputs - wanted)
    if apart.max() > golden["tolerance"]:
        vector, output = (int(i) for i in np.unravel_index(apart.argmax(), apart.shape))
        values = f"{outputs[vector, output]:.6g} instead of {wanted[vector, output]:.6g}"
        return Check(name, False, f"vector {vector}, output {output}: {values}, tolerance {golden['tolerance']:.3g}")
    return Check(name, True, f"{len(wanted)} golden vectors within {golden['tolerance']:.3g}")


def _check_example(folder: Path) -> Check:
    """The C example on this machine."""
    if reason := host.missing():
        return Check("C example", None, reason)
    build = ["cc", "-std=c99", "-O2", "main.c", "host.c", "model.c", "-o", "example"]
    return _build_and_run("C example", folder, build, ["./example"])


def _check_firmware(folder: Path) -> Check:
    """The C example on an emulated Cortex-M4."""
    if reason := emulated.missing():
        return Check("C example on m4", None, reason)
    core, sources = emulated.CORES["m4"], ["main.c", "cortex_m.c", "model.c"]
    build = [*emulated.GCC, *core.flags, "-std=c99", *emulated.LINK, *sources, "-o", "firmware.elf"]
    run = [*emulated.QEMU, *emulated.SEMIHOSTING, "-M", core.machine, "-kernel", "firmware.elf"]
    return _build_and_run("C example on m4", folder, build, run)


def _build_and_run(name: str, folder: Path, build: list[str], run: list[str]) -> Check:
    """The two commands in a copy of the bundle; the last line of what it printed, or the first of what went wrong."""
    with scratch() as copied:
        shutil.copytree(folder, copied, dirs_exist_ok=True)
        for command in (build, run):
            try:
                ended = subprocess.run(command, cwd=copied, capture_output=True, text=True, timeout=TIMEOUT_S)
            except subprocess.TimeoutExpired:
                return Check(name, False, f"{command[0]} did not end in {TIMEOUT_S} s")
            lines = [line for line in (ended.stdout + ended.stderr).splitlines() if line.strip()] or ["no output"]
            if ended.returncode:
                return Check(name, False, lines[0])
    return Check(name, True, lines[-1])
