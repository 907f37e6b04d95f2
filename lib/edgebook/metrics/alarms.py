"""False alarms and misses per hour: what the score of a detector in a stream of windows does not show."""

from __future__ import annotations

import numpy as np

from edgebook.metrics.classification import logits
from edgebook.metrics.intervals import poisson
from edgebook.metrics.metric import Array

SECONDS = 3600.0


def alarms(outputs: Array, targets: Array, *, background: tuple[int, ...], seconds: float) -> dict[str, float | None]:
    """false_alarms_per_hour and misses_per_hour, each with its 95 % interval (..._lo, ..._hi), of windows of `seconds`.

    background: the classes that are no event. A false alarm is a background window that is taken for an event, per hour of
    background; a miss is an event that is not recognised as what it is, per hour of events. None where there is no such window.
    """
    predicted, quiet = logits(outputs).argmax(1), np.isin(targets, background)
    wrong = {
        "false_alarms_per_hour": (~np.isin(predicted[quiet], background)).sum(),
        "misses_per_hour": (predicted[~quiet] != targets[~quiet]).sum(),
    }
    rates: dict[str, float | None] = {}
    for (name, count), n in zip(wrong.items(), (quiet.sum(), (~quiet).sum())):
        hours = float(n) * seconds / SECONDS
        lo, hi = poisson(int(count))
        rates |= {name + end: value / hours if hours else None for end, value in (("", float(count)), ("_lo", lo), ("_hi", hi))}
    return rates
