"""Verdicts: every order of an interval and its margin, and what holds for all of them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebook.metrics.verdicts import CANNOT_TELL, SCORE_WORDS, speed_verdict, verdict

ends = st.floats(-1, 1, allow_nan=False)
margins = st.floats(0, 0.5)


@pytest.mark.parametrize(
    ("lo", "hi", "word"),
    [
        (-0.001, 0.002, "same"),
        (0.001, 0.004, "same"),  # surely above 0, too small to matter
        (-0.004, -0.001, "same"),
        (0.001, 0.02, "better"),
        (0.005, 0.006, "better"),
        (-0.02, -0.001, "worse"),
        (-0.005, 0.004, "cannot tell"),  # the margin itself is outside
        (-0.004, 0.005, "cannot tell"),
        (-0.01, 0.0, "cannot tell"),
        (0.0, 0.01, "cannot tell"),
        (-0.02, 0.02, "cannot tell"),
        (0.0, 0.0, "same"),
        (math.nan, math.nan, "cannot tell"),
    ],
)
def test_verdict(lo, hi, word):
    assert verdict(lo, hi, 0.005) == word
    mirrored = {"better": "worse", "worse": "better"}.get(word, word)
    assert verdict(-hi, -lo, 0.005) == mirrored


def test_verdict_refuses_an_interval_upside_down():
    with pytest.raises(ValueError, match=r"lo=0\.2, hi=0\.1"):
        verdict(0.2, 0.1)


@pytest.mark.parametrize(
    ("lo", "hi", "word"),
    [
        (0.98, 1.02, "same"),
        (1.01, 1.03, "same"),
        (1.01, 1.2, "faster"),
        (0.5, 0.9, "slower"),
        (0.9, 1.1, "cannot tell"),
    ],
)
def test_speed_verdict_mirrors_when_the_files_swap(lo, hi, word):
    mirrored = {"faster": "slower", "slower": "faster"}.get(word, word)
    assert (speed_verdict(lo, hi), speed_verdict(1 / hi, 1 / lo)) == (word, mirrored)


# What holds for every interval


@given(ends, ends, margins)
def test_swapping_the_two_files_swaps_better_and_worse(a, b, margin):
    lo, hi = sorted((a, b))
    swapped = {"better": "worse", "worse": "better"}
    word = verdict(lo, hi, margin)
    assert verdict(-hi, -lo, margin) == swapped.get(word, word)


@given(ends, ends, margins)
def test_a_verdict_is_what_its_interval_shows(a, b, margin):
    lo, hi = sorted((a, b))
    word = verdict(lo, hi, margin)
    assert (word == "same") == (-margin < lo and hi < margin)
    assert word != "better" or lo > 0
    assert word != "worse" or hi < 0
    assert word != CANNOT_TELL or (lo <= 0 <= hi and max(-lo, hi) >= margin)


@given(ends, ends, st.floats(0, 1), margins)
def test_a_higher_interval_is_never_called_lower(a, b, shift, margin):
    lo, hi = sorted((a, b))
    ranks = {word: rank for rank, word in enumerate(SCORE_WORDS)}
    words = verdict(lo, hi, margin), verdict(lo + shift, hi + shift, margin)
    assert CANNOT_TELL in words or ranks[words[0]] <= ranks[words[1]]


@given(ends, ends, st.floats(0, 1), st.floats(0, 1), margins)
def test_a_narrower_interval_never_contradicts_a_wider_one(a, b, cut_below, cut_above, margin):
    lo, hi = sorted((a, b))
    middle = (lo + hi) / 2
    inner = verdict(lo + cut_below * (middle - lo), hi - cut_above * (hi - middle), margin)
    outer = verdict(lo, hi, margin)
    assert outer == CANNOT_TELL or inner in (outer, "same")


@given(st.floats(0.1, 10), st.floats(0.1, 10))
def test_a_speed_verdict_mirrors_too(a, b):
    lo, hi = sorted((a, b))
    swapped = {"faster": "slower", "slower": "faster"}
    word = speed_verdict(lo, hi)
    assert speed_verdict(1 / hi, 1 / lo) == swapped.get(word, word)
