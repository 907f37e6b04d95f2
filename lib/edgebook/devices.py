"""Boards: what each offers, and whether the file of a row fits there. Fit is computed from figures, never stored."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from edgebook.errors import BadInput
from edgebook.paths import DEVICES
from edgebook.registry import pick

NEEDED = ("runtimes", "flash_bytes", "ram_bytes", "source")


@dataclass(frozen=True)
class Device:
    """What a board offers. core: of its processor, as `boards.emulated` calls it; None where that emulates none like it.
    cpu_ram_bytes: memory of its processor, where the accelerator's is another."""

    name: str
    runtimes: tuple[str, ...]
    flash_bytes: int
    ram_bytes: int
    source: str
    latency_budget_ms: float | None = None
    accelerator: str | None = None
    cpu_ram_bytes: int | None = None
    core: str | None = None


def load_devices(path: Path = DEVICES) -> dict[str, Device]:
    """Every device of a devices.yaml, by name. Raises BadInput that names a device whose figures are missing or wrong."""
    try:
        entries = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise BadInput(f"{path}: cannot be read: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(entries, dict):
        raise BadInput(f"{path}: a mapping of device names is needed, not {type(entries).__name__}")
    return {name: _device(str(name), entry, path) for name, entry in entries.items()}


def device(name: str, path: Path = DEVICES) -> Device:
    """One device. Raises BadInput for an unknown name, or for one with missing figures."""
    return pick(load_devices(path), name, "device")


def _device(name: str, entry: Any, path: Path) -> Device:
    if not isinstance(entry, dict):
        raise BadInput(f"{path}: device {name} = {entry!r}: a mapping with {', '.join(NEEDED)} is needed")
    if missing := [key for key in NEEDED if entry.get(key) in (None, "", [])]:
        raise BadInput(f"{path}: device {name} lacks {', '.join(missing)}; without it nothing can be said to fit there")
    allowed = Device.__dataclass_fields__.keys() - {"name"}
    if unknown := entry.keys() - allowed:
        raise BadInput(f"{path}: device {name}: {', '.join(sorted(unknown))} is unknown; allowed: {', '.join(sorted(allowed))}")
    measured = {"flash_bytes": lambda: shutil.disk_usage("/").total, "ram_bytes": lambda: psutil.virtual_memory().total}
    values = {key: measured[key]() if value == "measured" and key in measured else value for key, value in entry.items()}
    for key in ("flash_bytes", "ram_bytes", "latency_budget_ms", "cpu_ram_bytes"):
        value = values.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value <= 0):
            raise BadInput(f"{path}: device {name}: {key} = {value!r}; allowed: a number above zero")
    return Device(**{**values, "name": name, "runtimes": tuple(values["runtimes"])})


def fit(row: dict[str, Any], device: Device, *, latency_budget_ms: float | None = None) -> dict[str, Any]:
    """Does the file of a row fit a device? {"fits", "why", "margins", "shares", "peak"}.

    fits: True, False, or None where it cannot be said (another runtime, or no figure). margins: what is left of
    "flash_bytes", "ram_bytes" and "latency_ms", negative when it is too much. shares: need / offer of flash and RAM.
    peak: the operator that sets the peak of memory. Flash and RAM are those of `need`. A latency counts only where it is the
    device's: measured on the host, or estimated for the device's accelerator.
    """
    if row["status"] != "ok" or row["size_bytes"] is None:
        return _unsaid("there is no file")
    if row["runtime"] not in device.runtimes:
        return _unsaid(f"{device.name} runs {', '.join(device.runtimes)}, not {row['runtime']}")
    if row["runtime"].startswith("vela") and row["device"] != device.accelerator:
        return _unsaid(f"the file is for {row['device']}, the device has {device.accelerator}")
    if row["core"] is not None and row["core"] != device.core:
        return _unsaid(f"the figures are those of a {row['core']}, the device has {device.core or 'another core'}")
    if (row["extra"] or {}).get("over_ssh"):
        return _unsaid(f"the figures are those of {row['device']}")
    flash, ram = need(row)
    if flash is None or ram is None:
        return _unsaid("its memory is not known")
    needs = {"flash_bytes": flash, "ram_bytes": ram}
    on_cpu = device.cpu_ram_bytes if not row["runtime"].startswith("vela") else None
    offers = {"flash_bytes": device.flash_bytes, "ram_bytes": on_cpu or device.ram_bytes}
    margins = {key: offers[key] - needs[key] for key in needs}
    budget, latency = latency_budget_ms or device.latency_budget_ms, _latency(row, device)
    if budget is not None and latency is not None:
        margins["latency_ms"] = budget - latency
    too_much = [key.split("_")[0] for key, margin in margins.items() if margin < 0]
    return {
        "fits": not too_much,
        "why": f"too much {' and '.join(too_much)}" if too_much else "",
        "margins": margins,
        "shares": {key: needs[key] / offers[key] for key in needs},
        "peak": (row["extra"] or {}).get("peak_layer"),
    }


def _unsaid(why: str) -> dict[str, Any]:
    return {"fits": None, "why": why, "margins": {}, "shares": {}, "peak": None}


def need(row: dict[str, Any]) -> tuple[int | None, int | None]:
    """(flash, RAM) in bytes that a file takes on a board; None where it is not known.

    On a core: code and constants, working memory and stack. Elsewhere: the file, and the arena where the runtime plans one,
    else the process's memory.
    """
    if row["core"] is not None:
        return row["flash_bytes"], row["ram_bytes"] + row["stack_bytes"]
    return row["size_bytes"], row["rss_bytes"] if row["arena_bytes"] is None else row["arena_bytes"]


def _latency(row: dict[str, Any], device: Device) -> float | None:
    return row["latency_ms_p50"] if device.name == "host" else row["latency_ms_est"] if device.accelerator else None
