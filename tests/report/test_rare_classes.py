"""Rare classes and rare events: what stands beside a score that hides them."""

from __future__ import annotations

from example_rows import baselines, example

from edgebook.report.answer import answer
from edgebook.report.choose import Limits
from edgebook.report.columns import columns_of
from edgebook.report.diagnostics import quality

UNEVEN = {"class_accuracy": [0.98, 0.4, 0.5], "macro_f1": 0.61, "worst_class_accuracy": 0.4, "unevenness": 18.0}


def rows(*, chance: float, **extra):
    """A baseline and a smaller version of equal score, with the same figures of their classes."""
    figures = {"score": 0.937, "val": 0.9375, "size": 9000, "latency": 0.02, "family": "quantize", "method": "int8"}
    both = [baselines()[0], example("int8", **figures)]
    return [row | {"chance": chance, "extra": row["extra"] | extra} for row in both]


def heads(lines):
    return [column.head for column in columns_of(lines)]


def test_the_answer_says_that_one_score_misleads_where_one_class_would_do():
    text = answer(rows(chance=0.9, **UNEVEN), Limits()).text
    assert "Here accuracy alone misleads, since always giving the most frequent class would have 90.0 %" in text
    assert "macro-F1 is 61.0 %, the worst class 40.0 %. With `metric: balanced_accuracy`" in text


def test_nothing_is_said_of_a_metric_in_which_classes_count_the_same_but_the_classes_are_shown():
    lines = rows(chance=1 / 3, **UNEVEN)
    assert "misleads" not in answer(lines, Limits()).text
    assert {"macro-F1", "worst class"} <= set(heads(lines))


def test_even_classes_are_not_shown():
    lines = rows(chance=0.34, **UNEVEN | {"unevenness": 1.1})
    assert "misleads" not in answer(lines, Limits()).text
    assert not {"macro-F1", "worst class"} & set(heads(lines))


def test_false_alarms_and_misses_stand_beside_the_score_with_their_intervals():
    rates = {"false_alarms_per_hour": 37.5, "false_alarms_per_hour_lo": 4.54, "false_alarms_per_hour_hi": 135.5}
    lines = rows(chance=0.3, **rates)
    assert "misses" not in heads(lines)
    (alarms,) = [column for column in columns_of(lines) if column.head == "false alarms"]
    assert (alarms.unit, alarms.main(lines[0]), alarms.around(lines[0])) == ("per hour", "37.5", "4.54–136")
    assert quality(lines)["false alarms per hour"].tolist() == ["37.5", "37.5"]
