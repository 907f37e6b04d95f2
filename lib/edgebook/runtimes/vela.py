"""Arm's Ethos-U accelerators: Vela compiles LiteRT's integer files and says what they will cost there.

Memory is the compiler's own plan. Time is Arm's model of the hardware, so it goes into `latency_ms_est`. No accelerator
is here: the answers are those of the LiteRT file that was compiled, kept beside as `*.source.tflite`.
"""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from edgebook.errors import Unsupported
from edgebook.runtimes import Program, litert, streaming, tflite_file

EXTENSION = ".tflite"
LIBRARIES = ("ethos-u-vela", "ai-edge-litert")
PRECISIONS = ("int8-static", "int16x8")
PARENT = "litert"
STREAMS = True
HAS_LATENCY = False

# name of the runtime -> accelerator, system of Arm's vela.ini: all at 500 MHz, activations in SRAM, weights in flash
CONFIGS = {
    "vela": ("ethos-u55-128", "Ethos_U55_High_End_Embedded"),
    "vela-u65": ("ethos-u65-256", "Ethos_U65_Embedded"),
    "vela-u85": ("ethos-u85-256", "Ethos_U85_SYS_Flash_High"),
}


def derive(parent: Path, path: Path, name: str) -> dict:
    """The compiled file, with its source beside it, and what Vela says of it. Raises Unsupported when it cannot compile.

    In a process of its own: Vela dies of a floating-point exception on some files.
    """
    accelerator, system = CONFIGS[name]
    shutil.copyfile(parent, source(path))
    streaming.copy_sidecar(parent, path)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "ethosu.vela", str(source(path)), "--accelerator-config", accelerator]
        command += ["--config", "Arm/vela.ini", "--system-config", system, "--memory-mode", "Shared_Sram"]
        told = subprocess.run([*command, "--output-dir", folder], capture_output=True, text=True)
        compiled = list(Path(folder).glob("*_vela.tflite"))
        if told.returncode or not compiled:
            raise Unsupported(f"{name}: Vela cannot compile it: {_reason(told)}")
        shutil.copyfile(compiled[0], path)
        (summary,) = csv.DictReader(next(Path(folder).glob("*_summary_*.csv")).open())
    found = _figures(summary, told.stdout, accelerator, streaming.sidecar(path))
    if fallen := [name for name in tflite_file.operators(path.read_bytes()) if name != "ethos-u"]:
        found["extra"]["on_the_cpu"] = fallen
    return found


def source(path: Path) -> Path:
    """The LiteRT file that a compiled one was made from, and whose answers it is given."""
    return path.with_name(f"{path.stem}.source{EXTENSION}")


def _reason(told: subprocess.CompletedProcess) -> str:
    lines = [line for line in (told.stdout + told.stderr).splitlines() if "error" in line.lower()]
    return (lines[-1].strip() if lines else f"it ended with code {told.returncode}")[:250]


def _figures(summary: dict, words: str, accelerator: str, sequence: dict | None) -> dict:
    """The columns of a row; of a one-step file the time is that of all its steps."""
    counts = {kind: int(number) for kind, number in re.findall(r"(CPU|NPU) operators = (\d+)", words)}
    step_ms = float(summary["inference_time"]) * 1e3
    more = {
        "flash_bytes": round(float(summary["off_chip_flash_memory_used"]) * 1024),
        "cycles": int(float(summary["cycles_total"])),
        "npu_macs": int(float(summary["nn_macs"])),
        "cpu_operators": counts.get("CPU", 0),
        "npu_operators": counts.get("NPU", 0),
        "size_unstripped_bytes": None,  # of the source; the compiler leaves no names
        "scored_by": "the LiteRT file that was compiled",
    }
    more |= {"step_ms_est": step_ms, "steps": sequence["steps"]} if sequence else {}
    return {
        "arena_bytes": round(float(summary["sram_memory_used"]) * 1024),
        "latency_ms_est": step_ms * (sequence["steps"] if sequence else 1),
        "device": accelerator,
        "extra": more,
    }


def preload() -> None:
    """Import what answers in the accelerator's place."""
    litert.preload()


def load(path: Path, *, threads: int = 1) -> Program:
    """The source's answers: see this module's first lines."""
    beside = path.with_suffix(".json")
    if beside.exists():
        shutil.copyfile(beside, source(path).with_suffix(".json"))
    return litert.load(source(path), threads=threads)
