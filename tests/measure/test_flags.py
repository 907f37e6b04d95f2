"""Flags: where a file does not keep what its technique promises."""

import pytest

from edgebook.measure import flags
from edgebook.rows import new_row
from edgebook.vocabulary import FAMILIES


def row(**values):
    shared = {"row_id": "a", "baseline_id": "b", "family": "prune", "precision": "int8-static", "speed_verdict": "slower"}
    return new_row(**{**shared, "compression_ratio": 0.9, "extra": {"portability": 0.95}, **values})


def test_flags_say_what_was_not_kept():
    assert flags.flags(row()) == [flags.SLOWER, flags.NOT_FASTER, flags.NOT_SMALLER, flags.NOT_PORTABLE]
    assert flags.flags(row(speed_verdict="faster", compression_ratio=3.0, extra={"portability": 1.0})) == []
    assert flags.flags(row(speed_verdict="cannot tell", compression_ratio=3.0, extra={})) == []


@pytest.mark.parametrize("family", FAMILIES)
def test_only_families_that_promise_speed_are_flagged_for_it(family):
    same = row(family=family, precision="fp32", speed_verdict="same", extra={})
    assert (flags.NOT_FASTER in flags.flags(same)) == FAMILIES[family].promises_speed
