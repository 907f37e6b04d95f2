"""Who measured: when, on which machines, with which versions; what every page says of its rows. No library is imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgebook.rows import Row

MOMENTARY = {"load": ("load",), "temperature (°C)": ("temperature_c", "temperature_c_after")}  # what is another each time
TEMPLATES = Path(__file__).parent / "templates"


def period(rows: list[Row]) -> str:
    """`2026-11-25 12:18 to 2026-11-25 12:19`: when the first and the last of the rows were started, UTC."""
    times = sorted(row["started_at"][:16].replace("T", " ") for row in rows if row["started_at"])
    return " to ".join(dict.fromkeys([*times[:1], *times[-1:]]))


def machines(rows: list[Row]) -> list[str]:
    """Each different machine in one line, with the ranges of its load and its temperature while it measured."""
    figures: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if machine := dict(row["machine"] or {}):
            moments = {name: [machine.pop(key, None) for key in keys] for name, keys in MOMENTARY.items()}
            ranges = figures.setdefault(one_line(machine), {name: [] for name in MOMENTARY})
            for name, values in moments.items():
                ranges[name] += [value for value in values if isinstance(value, int | float)]
    return [", ".join([line, *_ranges(ranges)]) for line, ranges in figures.items()]


def _ranges(figures: dict[str, list[float]]) -> list[str]:
    return [f"{name} {min(values)} to {max(values)}" for name, values in figures.items() if values]


def versions(rows: list[Row]) -> list[str]:
    """Each different set of library versions in one line."""
    return list(dict.fromkeys(one_line(row["versions"]) for row in rows if row["versions"]))


def one_line(content: dict[str, Any]) -> str:
    """`cores 2, cpu Intel Xeon, flags avx2 avx512f`; what is not known is left out."""
    known = {key.replace("_", " "): value for key, value in sorted(content.items()) if value not in (None, "", [])}
    return ", ".join(f"{key} {' '.join(map(str, value)) if isinstance(value, list) else value}" for key, value in known.items())
