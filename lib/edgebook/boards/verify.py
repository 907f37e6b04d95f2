"""A bundle checked: every hash first, then the golden vectors in every runtime that is here."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgebook.boards import emulated
from edgebook.boards.bundle import FORMAT
from edgebook.errors import BadInput, one_line
from edgebook.files import scratch, sha256
from edgebook.registry import pick
from edgebook.runtimes import sidecar
from edgebook.runtimes.base import RUNTIMES, missing
from edgebook.runtimes.c import host
from edgebook.runtimes.quiet import quiet

CORE = "cortex-m4"
BUILT = "build"  # folder of what the bundle's Makefile builds; nothing in it is used here
TIMEOUT_S = 60


@dataclass(frozen=True)
class Check:
    """One check: `ok` is None where it could not be made here, and `text` says why."""

    name: str
    ok: bool | None
    text: str


def verify(folder: Path, *, manifest_sha256: str | None = None) -> list[Check]:
    """Every check of a bundle. Nothing in it is loaded, compiled or run unless all hashes are equal.

    manifest_sha256: what `bundle` returned. Without it a manifest that was exchanged together with its files goes unnoticed,
    and a bundle is a program that is compiled and run here. Raises BadInput for a folder that is no bundle.
    """
    manifest = _manifest(folder)
    hashes = _check_hashes(folder, manifest, manifest_sha256)
    if not all(check.ok for check in hashes):
        return hashes
    golden = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
    file = folder / manifest["file"]
    vectors = [_check_runtime(name, file, golden, manifest["runtime"]) for name in runtimes_for(manifest["runtime"], file)]
    with scratch() as copied:
        for name in manifest["files"]:
            shutil.copyfile(folder / name, copied / name)
        return [*hashes, *vectors, _check_example(copied), _check_firmware(copied)]


def outputs(name: str, file: Path, x: np.ndarray) -> np.ndarray:
    """Float outputs (n, ...) of a file in its runtime for items (n, ...), in this process."""
    record = RUNTIMES[name]
    program = record.side("load").load(file, threads=1, shape=x.shape[1:] if record.open_shapes else ())
    return sidecar.prepared(program, file).predict(x)


def runtimes_for(made_for: str, file: Path) -> list[str]:
    """The runtime of the row first, then the others that take files of this kind as they are."""
    record = pick(RUNTIMES, made_for, "runtime of the manifest")
    same = [name for name, other in RUNTIMES.items() if other.extension == file.suffix and not other.scored_by_source]
    return [made_for] if record.scored_by_source else list(dict.fromkeys([made_for, *same]))


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
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
    extra = sorted({path.name for path in folder.iterdir()} - manifest["files"].keys() - {"manifest.json", BUILT})
    return checks + [Check(name, False, "is not in the manifest") for name in extra]


def _check_runtime(name: str, file: Path, golden: dict[str, Any], made_for: str) -> Check:
    """The golden vectors in one runtime; only the one that the file was made for has to run it."""
    if reason := missing(name):
        return Check(name, None, reason)
    try:
        with quiet():
            given = outputs(name, file, np.array(golden["inputs"], np.float32))
    except Exception as error:  # a runtime raises whatever it likes
        return Check(name, False if name == made_for else None, f"does not run it: {one_line(error)[:200]}")
    wanted = np.array(golden["outputs"], np.float32)
    if given.shape != wanted.shape:
        return Check(name, False, f"outputs have shape {given.shape}, the golden ones {wanted.shape}")
    apart = np.abs(given - wanted)
    if apart.max() > golden["tolerance"]:
        vector, *output = (int(i) for i in np.unravel_index(apart.argmax(), apart.shape))
        values = f"{given[vector, *output]:.6g} instead of {wanted[vector, *output]:.6g}, tolerance {golden['tolerance']:.3g}"
        return Check(name, False, f"vector {vector}, output {', '.join(map(str, output))}: {values}")
    return Check(name, True, f"{len(wanted)} golden vectors within {golden['tolerance']:.3g}")


def _check_example(folder: Path) -> Check:
    """The C example on this machine, built in the folder."""
    if reason := host.missing():
        return Check("C example", None, reason)
    build = ["cc", "-std=c99", "-O2", "main.c", "host.c", "model.c", "-o", "example"]
    return _build_and_run("C example", folder, build, ["./example"])


def _check_firmware(folder: Path) -> Check:
    """The C example on an emulated Cortex-M4, built in the folder."""
    if reason := emulated.missing():
        return Check(f"C example on {CORE}", None, reason)
    core, sources = emulated.CORES[CORE], ["main.c", "cortex_m.c", "model.c"]
    build = [*emulated.GCC, *core.flags, "-std=c99", *emulated.LINK, *sources, "-o", "firmware.elf"]
    run = [*emulated.QEMU, *emulated.SEMIHOSTING, "-M", core.machines[0].name, "-kernel", "firmware.elf"]
    return _build_and_run(f"C example on {CORE}", folder, build, run)


def _build_and_run(name: str, folder: Path, build: list[str], run: list[str]) -> Check:
    """The two commands in a folder; the last line of what they printed, or the first of what went wrong."""
    lines = ["no output"]
    for command in (build, run):
        try:
            ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return Check(name, False, f"{command[0]} did not end in {TIMEOUT_S} s")
        lines = [line for line in (ended.stdout + ended.stderr).splitlines() if line.strip()] or ["no output"]
        if ended.returncode:
            return Check(name, False, lines[0])
    return Check(name, True, lines[-1])
