"""What autotune looks for: a file that fits a board, keeps the score, and is as small as possible."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from edgebook.devices import Device
from edgebook.errors import BadInput
from edgebook.runtimes.base import RUNTIMES, runtime
from edgebook.search.history import excess, meets

PLANS_MEMORY = ("tflm", "vela", "vela-u65", "vela-u85")  # runtimes whose files' working memory is known before they run
UNITS = {"size_bytes": ("flash", 1e-3, "kB"), "arena_bytes": ("RAM", 1e-3, "kB"), "latency_ms_est": ("latency", 1.0, "ms")}


@dataclass(frozen=True)
class Goal:
    """limits: figure of a file -> the most that it may be. least_score: on validation. baseline_score: the float network's."""

    board: str
    runtime: str
    limits: dict[str, float]
    least_score: float
    baseline_score: float

    def as_plain(self) -> dict[str, Any]:
        """Plain data, from which `Goal(**data)` is the goal again."""
        return asdict(self)


def goal_of(
    board: Device,
    *,
    baseline_score: float,
    max_loss: float,
    flash_bytes: float | None = None,
    ram_bytes: float | None = None,
    latency_ms: float | None = None,
) -> Goal:
    """The goal for a board. The limits are the board's own, or smaller ones that the user gives, since firmware needs room too.

    Raises BadInput for a limit of more than the board has, and for a latency that nothing estimates there.
    """
    name = board_runtime(board)
    own = {"flash_bytes": board.flash_bytes, "ram_bytes": board.ram_bytes}
    for key, given in {"flash_bytes": flash_bytes, "ram_bytes": ram_bytes}.items():
        if given is not None and given > own[key]:
            raise BadInput(f"{key} = {given:g}; allowed: at most the {own[key]:g} of {board.name}")
    limits = {"size_bytes": float(flash_bytes or board.flash_bytes)}
    if name in PLANS_MEMORY:
        limits["arena_bytes"] = float(ram_bytes or board.ram_bytes)
    if budget := latency_ms or board.latency_budget_ms:
        if not name.startswith("vela"):
            raise BadInput(f"latency_budget_ms = {budget:g}: nothing estimates the latency on {board.name}; allowed: 0")
        limits["latency_ms_est"] = float(budget)
    return Goal(board.name, name, limits, baseline_score - max_loss, baseline_score)


def board_runtime(board: Device) -> str:
    """The runtime whose files are made for a board: its accelerator's, else TFLM, else the first that has integer files."""
    preferred = [name for name in board.runtimes if name.startswith("vela")] + [name for name in board.runtimes if name == "tflm"]
    others = [name for name in board.runtimes if name in RUNTIMES and "int8-static" in runtime(name).precisions]
    if not preferred + others:
        raise BadInput(f"board {board.name}: no int8 files for {', '.join(board.runtimes)}")
    return (preferred + others)[0]


def value_of(figures: dict[str, float], goal: Goal) -> float:
    """One number, higher is better: above 0 where the goal is met, and the more so the smaller the file; from -1 to 0 by the
    score that lacks; below -1 by the excess over the limits, where nothing was trained.
    """
    over = sum(max(0.0, share) for share in excess(figures, goal.limits).values())
    if over or "val_score" not in figures:
        return -1.0 - over
    lacking = goal.least_score - figures["val_score"]
    return -min(1.0, lacking) if lacking > 0 else 1.0 - figures["size_bytes"] / goal.limits["size_bytes"]


def fits(figures: dict[str, float], goal: Goal) -> bool:
    """Whether a file keeps every limit of the board."""
    return meets(figures, goal.limits)


def amount(name: str, value: float, goal: Goal) -> str:
    """`RAM 5.1 kB of 262.1 kB`."""
    label, factor, unit = UNITS[name]
    return f"{label} {value * factor:.4g} {unit} of {goal.limits[name] * factor:.4g} {unit}"
