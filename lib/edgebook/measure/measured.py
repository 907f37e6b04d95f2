"""What measuring showed of a file, and the session in which it was timed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from edgebook.runtimes.base import Artifact

TIMING = ("blocks_p50", "blocks_p90", "probes", "process", "quiet", "n_calls", "steady", "rss_bytes")  # fields of Measured
SCORING = (
    *("inspected", "batch", "layout", "preprocess", "input_range", "clipped", "filled", "calls", "kernel_error"),
    "not_compared",
)


@dataclass(frozen=True)
class Session:
    """Files that were timed together: ratios of latencies exist inside a session only.

    timings: key of a file -> its fields of TIMING.
    """

    id: str
    machine: dict[str, Any]
    timings: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class Measured:
    """What measuring showed of one file. `error` says why the rest is missing; items index the split that was scored."""

    artifact: Artifact
    error: str | None = None
    unsupported: str | None = None  # the code in `vocabulary.UNSUPPORTED` of an error that lies in the target, not in the file
    outputs: dict[str, np.ndarray] = field(default_factory=dict)  # split -> float32 (n, ...)
    items: dict[str, np.ndarray] = field(default_factory=dict)  # split -> which items, (n,)
    rss_bytes: int | None = None
    blocks_p50: list[float] = field(default_factory=list)  # ms, one per round
    blocks_p90: list[float] = field(default_factory=list)
    probes: list[float] = field(default_factory=list)  # ns, what a fixed piece of work took around each block
    process: list[int] = field(default_factory=list)  # in which of the file's processes the block ran
    quiet: list[bool] = field(default_factory=list)  # whether nothing else disturbed the block
    n_calls: int = 0
    steady: bool = True
    inspected: dict[str, Any] = field(default_factory=dict)  # what the runtime's `inspect` tells
    batch: int = 1  # items that one call takes
    layout: str = "as given"  # of the items as the file takes them, see `scoring.LAYOUTS`
    calls: int = 1  # of the runtime for one item
    not_scored: str | None = None  # why the items cannot be given to the file, or its outputs mean nothing for them
    preprocess: tuple[float, float] = (1.0, 0.0)  # scale and offset that its sidecar asks for
    input_range: list[float] | None = None  # the least and the largest value that an integer input holds
    clipped: float = 0.0  # share of the values that an integer input cannot hold
    filled: float = 1.0  # share of an integer input's range that the values span
    kernel_error: float | None = None  # see `repeat`; None where nothing was compared
    not_compared: str | None = None  # the reason, where there was one
    key: str = ""  # of the file and of how it is timed, see `archive`
    session: Session | None = None

    def forget_timing(self) -> None:
        """Be as before it was timed; the memory is of the process that is running now."""
        self.blocks_p50, self.blocks_p90, self.probes, self.process, self.quiet = [], [], [], [], []
        self.n_calls, self.steady = 0, True

    def timed_beside(self, other: Measured) -> Measured:
        """This file with its timing in the session of another one, where it has one there."""
        timing = other.session.timings.get(self.key) if other.session and other.session is not self.session else None
        return replace(self, session=other.session, **timing) if timing else self
