"""LiteRT's integer files compiled by Vela, with the figures that it prints."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from edgebook.errors import Unsupported
from edgebook.files import scratch
from edgebook.runtimes import export_limit, one_step
from edgebook.runtimes.base import source_path
from edgebook.runtimes.litert.flatbuffer import operators

# runtime -> accelerator, system of Arm's vela.ini: all at 500 MHz, activations in SRAM, weights in flash
CONFIGS = {
    "vela": ("ethos-u55-128", "Ethos_U55_High_End_Embedded"),
    "vela-u65": ("ethos-u65-256", "Ethos_U65_Embedded"),
    "vela-u85": ("ethos-u85-256", "Ethos_U85_SYS_Flash_High"),
}


def derive(parent_path: Path, path: Path, name: str) -> dict[str, Any]:
    """The compiled file, with its source beside it, and Vela's figures. Raises Unsupported when it cannot compile.

    In a process of its own: Vela dies of a floating-point exception on some files.
    """
    accelerator, system = CONFIGS[name]
    source = source_path(path)
    shutil.copyfile(parent_path, source)
    one_step.copy_description(parent_path, path)
    with scratch() as folder:
        command = [sys.executable, "-P", "-m", "ethosu.vela", str(source), "--accelerator-config", accelerator]
        command += ["--config", "Arm/vela.ini", "--system-config", system, "--memory-mode", "Shared_Sram"]
        run = export_limit.run([*command, "--output-dir", folder])
        compiled = list(folder.glob("*_vela.tflite"))
        if run.returncode or not compiled:
            raise Unsupported(f"{name}: Vela cannot compile it: {_reason(run)}", code="operator")
        shutil.copyfile(compiled[0], path)
        (summary,) = csv.DictReader(next(folder.glob("*_summary_*.csv")).open())
    columns = _columns(summary, run.stdout, accelerator, one_step.description(path))
    if on_cpu := [operator for operator in operators(path.read_bytes()) if operator != "ethos-u"]:
        columns["extra"]["on_the_cpu"] = on_cpu
    return columns


def _reason(run: subprocess.CompletedProcess) -> str:
    lines = [line for line in (run.stdout + run.stderr).splitlines() if "error" in line.lower()]
    return (lines[-1].strip() if lines else f"it ended with code {run.returncode}")[:250]


def _columns(summary: dict[str, str], printed: str, accelerator: str, step: dict[str, Any] | None) -> dict[str, Any]:
    """Vela's figures as columns; the time of a one-step file is that of all its steps."""
    counts = {kind: int(number) for kind, number in re.findall(r"(CPU|NPU) operators = (\d+)", printed)}
    ms = float(summary["inference_time"]) * 1e3
    extra = {
        "flash_bytes": round(float(summary["off_chip_flash_memory_used"]) * 1024),
        "cycles": int(float(summary["cycles_total"])),
        "npu_macs": int(float(summary["nn_macs"])),
        "cpu_operators": counts.get("CPU", 0),
        "npu_operators": counts.get("NPU", 0),
        "size_unstripped_bytes": None,  # that of the source; the compiler leaves no names
        "scored_by": "the LiteRT file that was compiled",
    }
    if step:
        extra |= {"step_ms_est": ms, "steps": step["steps"]}
    return {
        "arena_bytes": round(float(summary["sram_memory_used"]) * 1024),
        "latency_ms_est": ms * (step["steps"] if step else 1),
        "device": accelerator,
        "extra": extra,
    }
