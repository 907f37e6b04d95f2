"""Plain words for the interval of a difference: better, worse, the same within a margin, or cannot tell."""

from __future__ import annotations

import math
from collections.abc import Sequence

SCORE_MARGIN = 0.005  # half a point of a score in [0, 1]
SPEED_MARGIN = 0.03  # of the log-ratio of two latencies, about 3 %
SCORE_WORDS = ("worse", "same", "better")
SPEED_WORDS = ("slower", "same", "faster")
CANNOT_TELL = "cannot tell"


def verdict(lo: float, hi: float, margin: float = SCORE_MARGIN, labels: Sequence[str] = SCORE_WORDS) -> str:
    """One of `labels` (below, same, above) for the interval of a difference, or "cannot tell" (also for NaN).

    In this order: wholly inside (-margin, margin): same; lo > 0: above; hi < 0: below. "Same" comes first, so that a
    difference too small to matter is not reported, however certain it is.
    """
    if lo > hi or margin < 0:
        raise ValueError(f"lo={lo}, hi={hi}, margin={margin}: need lo <= hi and margin >= 0")
    if -margin < lo and hi < margin:
        return labels[1]
    if lo > 0:
        return labels[2]
    return labels[0] if hi < 0 else CANNOT_TELL


def speed_verdict(lo: float, hi: float, margin: float = SPEED_MARGIN) -> str:
    """`verdict` for the interval of a speed-up (1 = equal), in slower, same, faster.

    The margin is on the log-ratio, 0.03 = from 0.970 to 1.030, so that swapping the two files swaps the word.
    """
    return verdict(math.log(lo), math.log(hi), margin, SPEED_WORDS)
