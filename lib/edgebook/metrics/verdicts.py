"""Plain words for the interval of a difference: better, worse, the same within a margin, or cannot tell."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgebook.metrics.intervals import z_quantile

SCORE_MARGIN = 0.005  # half a point of a score in [0, 1]
SPEED_MARGIN = 0.03  # of the log-ratio of two latencies, about 3 %
SCORE_WORDS = ("worse", "same", "better")
SPEED_WORDS = ("slower", "same", "faster")
CANNOT_TELL = "cannot tell"
AS_SMALL = 0.98  # of another file's bytes: they cost the same
ROUNDING = 1e-9


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


def standard_error(lo: float, hi: float) -> float:
    """The standard error of a difference from its 95 % interval."""
    return (hi - lo) / 2 / z_quantile(0.95)


def keeps_score(difference: float, error: float, loss: float) -> bool:
    """Whether a difference to the baseline is within one standard error of the loss that is allowed, so that no single item
    decides. Source: the one-standard-error rule, Breiman et al. 1984, Classification and regression trees, section 3.4.3.
    """
    return difference + error >= -loss - ROUNDING
