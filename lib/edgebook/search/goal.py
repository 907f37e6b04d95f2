"""What autotune looks for: a file that fits a board, keeps the score, and is as small as possible."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from edgebook.boards import emulated
from edgebook.devices import Device
from edgebook.errors import BadInput
from edgebook.metrics.verdicts import keeps_score
from edgebook.runtimes.base import RUNTIMES, runtime
from edgebook.search.history import excess, meets

PLANS_MEMORY = ("tflm", "vela", "vela-u65", "vela-u85")  # runtimes whose files' working memory is known before they run
UNITS = {
    "size_bytes": ("flash", 1e-3, "kB"),
    "arena_bytes": ("RAM", 1e-3, "kB"),
    "flash_bytes": ("flash", 1e-3, "kB"),  # with the code, on the board's core
    "ram_bytes": ("RAM", 1e-3, "kB"),  # with the stack, there too
    "latency_ms_est": ("latency", 1.0, "ms"),
}


@dataclass(frozen=True)
class BoardLimits:
    """What a board allows. limits: figure of a file -> the most that it may be, the flash first. core: of the board, where its
    files are counted on an emulated one.
    """

    board: str
    runtime: str
    limits: dict[str, float]
    core: str | None = None

    @property
    def flash(self) -> str:
        """The figure that has to fit the flash."""
        return next(iter(self.limits))


@dataclass(frozen=True)
class Goal(BoardLimits):
    """The limits, and the scores on validation: the least that is wanted, and the float network's."""

    least_score: float = 0.0
    baseline_score: float = 0.0

    def as_plain(self) -> dict[str, Any]:
        """Plain data, from which `Goal(**data)` is the goal again."""
        return asdict(self)


def board_within(
    board: Device,
    *,
    flash_bytes: float | None = None,
    ram_bytes: float | None = None,
    latency_ms: float | None = None,
) -> Device:
    """The board with the smaller limits that the user gives, since firmware needs room too; None leaves the board's own.

    Raises BadInput for a limit of more than the board has, and for a memory or a latency that nothing tells before a file runs.
    """
    for key, given in {"flash_bytes": flash_bytes, "ram_bytes": ram_bytes}.items():
        if given is not None and given > getattr(board, key):
            raise BadInput(f"{key} = {given:g}; allowed: at most the {getattr(board, key):g} of {board.name}")
    name = board_runtime(board)
    if ram_bytes is not None and memory_figure(name) is None:
        raise BadInput(f"ram_bytes = {ram_bytes:g}: {name} on {board.name} plans no memory; allowed: to leave it out")
    budget = latency_ms or board.latency_budget_ms
    if budget and not name.startswith("vela"):
        raise BadInput(f"latency_budget_ms = {budget:g}: nothing estimates the latency on {board.name}; allowed: 0")
    given = {"flash_bytes": flash_bytes, "ram_bytes": ram_bytes, "latency_budget_ms": latency_ms}
    return replace(board, **{name: value for name, value in given.items() if value})


def limits_of(board: Device) -> BoardLimits:
    """What a board allows the files that are made for it. Raises BadInput where the tools are absent that count C files."""
    name = board_runtime(board)
    core = board.core if runtime(name).on_cores else None
    if core and (reason := emulated.missing()):
        raise BadInput(f"board {board.name}: its files are counted on an emulated {core}: {reason}")
    limits = {"flash_bytes" if core else "size_bytes": float(board.flash_bytes)}
    if memory := memory_figure(name):
        limits[memory] = float(board.ram_bytes)
    if board.latency_budget_ms:
        limits["latency_ms_est"] = float(board.latency_budget_ms)
    return BoardLimits(board.name, name, limits, core)


def memory_figure(name: str) -> str | None:
    """The figure of a runtime's files that has to fit the RAM; None where it is known only when a file runs."""
    return "ram_bytes" if runtime(name).on_cores else "arena_bytes" if name in PLANS_MEMORY else None


def goal_of(limits: BoardLimits, *, baseline_score: float, max_loss: float) -> Goal:
    """The goal on a board: a file within its limits that loses at most `max_loss` of the float network's validation score."""
    return Goal(**vars(limits), least_score=baseline_score - max_loss, baseline_score=baseline_score)


def board_runtime(board: Device) -> str:
    """The runtime whose files are made for a board: its accelerator's, else TFLM, else the first that has integer files."""
    preferred = [name for name in board.runtimes if name.startswith("vela")] + [name for name in board.runtimes if name == "tflm"]
    others = [name for name in board.runtimes if name in RUNTIMES and "int8-static" in runtime(name).precisions]
    others = [name for name in others if board.core or not runtime(name).on_cores]  # without a core nothing counts there
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
    if keeps(figures, goal):
        return 1.0 - figures[goal.flash] / goal.limits[goal.flash]
    return -min(1.0, goal.least_score - figures["val_score"])


def keeps(figures: dict[str, float], goal: Goal) -> bool:
    """Whether a file keeps the float network's validation score by the rule of the report; `val_error` is the standard error
    of their paired difference.
    """
    difference = figures["val_score"] - goal.baseline_score
    return keeps_score(difference, figures.get("val_error", 0.0), goal.baseline_score - goal.least_score)


def fits(figures: dict[str, float], goal: BoardLimits) -> bool:
    """Whether a file keeps every limit of the board."""
    return meets(figures, goal.limits)


def amount(name: str, value: float, goal: BoardLimits) -> str:
    """`RAM 5.1 kB of 262.1 kB`."""
    label, factor, unit = UNITS[name]
    return f"{label} {value * factor:.4g} {unit} of {goal.limits[name] * factor:.4g} {unit}"
