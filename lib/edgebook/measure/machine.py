"""Where a measurement was made: what a reader needs to judge a latency."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

from edgebook.paths import CHECKOUT

INT8_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimd", "asimddp", "i8mm", "sve")
MOMENTARY = ("load", "temperature_c", "throttled")  # what is another at every moment
HOST = "EDGEBOOK_HOST"  # set by the workers of a cluster


def describe() -> dict:
    """CPU model, the flags that int8 kernels care about, cores, governor, load average, system."""
    lines = _read("/proc/cpuinfo").splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    flags = set(fields.get("flags", fields.get("Features", "")).split())
    return {
        "cpu": fields.get("model name") or platform.processor() or platform.machine(),
        "flags": [flag for flag in INT8_FLAGS if flag in flags],
        "cores": os.cpu_count(),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").strip() or None,
        "temperature_c": temperature(),
        "throttled": throttled(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }


def temperature() -> float | None:
    """The warmest sensor in degrees Celsius; None without one."""
    zones = [_read(str(path)).strip() for path in Path("/sys/class/thermal").glob("thermal_zone*/temp")]
    return max((int(zone) / 1000 for zone in zones if zone.lstrip("-").isdigit()), default=None)


def throttled() -> str | None:
    """What the machine tells of throttling: the flags of a Raspberry Pi, or how often an x86 core was slowed down; None where
    neither is known.
    """
    if shutil.which("vcgencmd"):
        return subprocess.run(["vcgencmd", "get_throttled"], capture_output=True, text=True).stdout.strip() or None
    count = _read("/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count").strip()
    return f"{count} times" if count else None


def host() -> str:
    """The name of this machine in rows: `host`, or its own name where a run was started on another machine."""
    return os.environ.get(HOST, "host")


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


@lru_cache
def commit() -> str | None:
    """Short hash of the workbook's commit, with `+` when files differ from it; None outside git."""
    try:
        command = ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty=+", "--exclude=*"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


if __name__ == "__main__":
    print(json.dumps(describe()))
