"""Which file is chosen: one test per rule, each of which fails when its rule is taken away."""

from __future__ import annotations

import math

import pytest
from example_rows import all_wrong, baselines, example, quantized

from edgebook.errors import BadInput
from edgebook.report.choose import Limits, baseline_of, candidates, choose, front, keeps, learned, refuted
from edgebook.rows import new_row

SMALL = {"size": 5000, "latency": 0.01, "family": "prune", "method": "prune"}


def float_baseline(**values):
    return baselines()[0] | values


def version(label="other", **values):
    figures = {"score": 0.937, "val": 0.9375, "size": 9000, "latency": 0.02, "family": "quantize", "method": "int8"}
    return example(label, **(figures | values))


def chosen(rows, **limits):
    row = choose(rows, Limits(**limits)).row
    return row and row["label"]


def test_choice_is_on_validation_not_on_test():
    lucky = version("lucky on test", score=0.95, val=0.92, **SMALL)
    honest = version("good on validation", score=0.937, val=0.937)
    rows = [float_baseline(), lucky, honest]
    assert chosen(rows) == "good on validation"
    beaten = version("best on test", score=0.99, val=0.90, size=9500, latency=0.03)
    assert [row["label"] for row in front([*rows, beaten])] == ["lucky on test", "good on validation", "float baseline"]


@pytest.mark.parametrize("role", ["control", "reference", None])
def test_only_versions_and_the_baseline_ship(role):
    cheap = version("cheap", size=10, latency=0.0001, val=0.99, score=0.99)
    rows = [float_baseline(), version()]
    assert chosen([*rows, cheap]) == "cheap"
    assert chosen([*rows, cheap | {"role": role}]) == "other"
    assert "cheap" not in [row["label"] for row in front([*rows, cheap | {"role": role}])]


def test_rows_without_a_score_or_figures_are_no_candidates():
    whole = version()
    assert candidates([whole]) == [whole]
    assert candidates([whole | {"val_score": None}, whole | {"score": None}, *all_wrong()]) == []


def test_a_copy_of_the_float_baseline_is_not_a_version():
    base = float_baseline()
    copy = version("folded", runtime=base["runtime"], latency=0.0001, sha256=base["sha256"])
    assert chosen([base, copy]) == "float baseline"
    assert chosen([base, copy | {"sha256": "another"}]) == "folded"
    assert chosen([base, copy | {"runtime": "litert"}]) == "folded"  # the same bytes elsewhere are another file


# Validation


def test_the_margin_of_the_metric_is_what_may_be_lost():
    base = float_baseline(val_score=0.938)
    assert chosen([base, version(val=0.9331)]) == "other"
    assert chosen([base, version(val=0.933)]) == "other"  # exactly the margin, in spite of rounding
    assert chosen([base, version(val=0.9329)]) == "float baseline"
    assert chosen([base, version(val=0.9329, margin=0.01)]) == "other"
    assert chosen([base, version(val=0.9329)], max_loss=0.01) == "other"
    assert chosen([base, version(val=0.9331)], max_loss=0.001) == "float baseline"


def test_one_item_does_not_decide():
    """One of 50 items lost: -2 points, of which one standard error is as much. Four lost: -8 points, of which it is less."""
    base = float_baseline(val_score=0.94)
    one_lost = version(val=0.92, extra={"val_delta": -0.02, "val_delta_lo": -0.105, "val_delta_hi": 0.058})
    four_lost = version(val=0.86, extra={"val_delta": -0.08, "val_delta_lo": -0.188, "val_delta_hi": -0.003})
    assert keeps(one_lost, [base], Limits())
    assert not keeps(four_lost, [base], Limits())
    assert not keeps(one_lost | {"extra": {}}, [base], Limits())  # without an interval the difference alone decides
    unpaired = one_lost | {"runtime": "vela"}  # its interval compares with another file than the float baseline
    assert not keeps(unpaired, [base], Limits())


def test_the_standard_error_is_a_quarter_of_the_interval():
    base = float_baseline(val_score=0.94)
    row = version(val=0.93, extra={"val_delta": -0.01, "val_delta_lo": -0.02, "val_delta_hi": 0.0})
    error = 0.02 / 2 / 1.959964
    assert keeps(row, [base], Limits(max_loss=0.01 - error + 1e-5))
    assert not keeps(row, [base], Limits(max_loss=0.01 - error - 1e-5))


def test_the_paired_difference_counts_where_fewer_items_were_scored():
    base = float_baseline(val_score=0.94)
    row = version(val=0.90, extra={"val_delta": -0.001, "val_delta_lo": -0.002, "val_delta_hi": 0.0})
    assert keeps(row, [base], Limits())
    row["extra"]["val_delta"] = None
    assert not keeps(row, [base], Limits())


def test_a_lucky_seed_does_not_decide():
    base, shared = float_baseline(), {**SMALL, "score": 0.93}
    students = [version("student", val=val, seed=seed, **shared) for seed, val in enumerate((0.945, 0.9, 0.9))]
    assert chosen([base, *students]) == "float baseline"
    good = [row | {"val_score": val} for row, val in zip(students, (0.936, 0.939, 0.938), strict=True)]
    assert choose([base, *good], Limits(max_loss=0.01)).row["seed"] == 1


def test_a_row_is_judged_by_the_baseline_of_its_seed_and_runtime():
    seeds = [float_baseline(seed=seed, val_score=val, row_id=f"b{seed}") for seed, val in enumerate((0.95, 0.9))]
    assert baseline_of(version(seed=1), seeds) is seeds[1]
    runtimes = [row | {"val_score": val} for row, val in zip(baselines()[:2], (0.9, 0.95), strict=True)]
    assert baseline_of(version(runtime="onnx"), runtimes) is runtimes[0]
    assert baseline_of(version(runtime="vela"), runtimes) is runtimes[1]
    assert baseline_of(version(), []) is None


def test_an_integer_file_is_the_baseline_only_where_there_is_no_float_one():
    whole = version("int8 of the baseline", role="baseline", precision="int8-static", val=0.8, score=0.8)
    worse = version("worse", **{**SMALL, "val": 0.79, "score": 0.79})
    worse |= {"delta": None}
    assert chosen([whole, worse], max_loss=0.02) == "worse"
    assert chosen([whole, worse, float_baseline()], max_loss=0.02) == "float baseline"


# Test


def test_what_the_test_set_refutes_is_passed_over_for_the_next():
    base = float_baseline()
    lucky = version("lucky on validation", score=0.82, val=0.9377, **SMALL)
    rows = [base, lucky, version("honest")]
    choice = choose(rows)
    assert (choice.row["label"], [row["label"] for row in choice.refuted]) == ("honest", ["lucky on validation"])
    assert choose([base, lucky]).row["label"] == "float baseline"
    assert choose(rows, Limits(max_loss=0.2)).row["label"] == "lucky on validation"
    assert choose([base, lucky], Limits(max_size_bytes=6000)).row is None


def test_only_a_sure_loss_beyond_the_allowed_one_refutes():
    base = [float_baseline()]
    assert refuted(version(score=0.92), base, Limits())
    assert not refuted(version(score=0.92, verdict="cannot tell"), base, Limits())
    small_but_sure = version(score=0.935, verdict="worse")
    assert not refuted(small_but_sure, base, Limits())
    assert refuted(small_but_sure, base, Limits(max_loss=0.001))
    assert not refuted(base[0] | {"verdict": "worse", "delta": -1.0}, base, Limits())
    elsewhere = version(score=0.92, runtime="vela", delta=None, verdict=None)
    assert refuted(elsewhere, base, Limits())
    assert not refuted(elsewhere | {"score_hi": 0.9323}, base, Limits())
    assert not refuted(version(score=0.1), [], Limits())


def test_one_seed_that_ships_or_the_mean_of_all_is_enough_to_refute():
    base = [float_baseline(seed=seed, row_id=f"b{seed}") for seed in (0, 1)]
    shared = {**SMALL, "method": "distill", "score": 0.937}
    seeds = [version("student", val=0.938 - 0.0001 * seed, seed=seed, **shared) for seed in (0, 1)]
    assert chosen([*base, *seeds]) == "student"
    ships = seeds[0] | {"verdict": "worse", "delta": -0.1}
    assert chosen([*base, ships, seeds[1] | {"delta": 0.1}]) == "float baseline"
    both = [row | {"delta": -0.1 - 0.0001 * row["seed"], "verdict": "cannot tell"} for row in seeds]
    assert chosen([*base, *both]) == "float baseline"


# Costs and limits


def test_the_fastest_then_the_smallest_of_those_equally_fast():
    rows = [float_baseline(), version(latency=0.0200)]
    smaller = {"size": 5000, "family": "prune", "method": "p"}
    assert chosen([*rows, version("smaller", latency=0.0204, **smaller)]) == "smaller"
    assert chosen([*rows, version("slower", latency=0.03, **smaller)]) == "other"
    assert chosen([*rows, version("not timed", latency=None, **smaller)]) == "other"
    assert chosen([float_baseline(latency_ms_p50=None), version(latency=None), version("x", latency=None, **smaller)]) == "x"


@pytest.mark.parametrize(
    ("share_of_size", "share_of_latency", "ships"), [(0.95, 1, False), (0.8, 1, True), (1, 0.9, True), (1, 1, False)]
)
def test_a_version_that_is_neither_faster_nor_clearly_smaller_is_not_worth_it(share_of_size, share_of_latency, ships):
    line = float_baseline()
    figures = {"size": line["size_bytes"] * share_of_size, "latency": line["latency_ms_p50"] * share_of_latency}
    assert (chosen([line, version(**figures)]) == "other") == ships


def test_a_few_bytes_decide_nothing():
    def chosen_of(size, **values):
        larger = version("larger", latency=0.0200, size=size, val=0.9380, **values)
        return chosen([float_baseline(), version("smaller", latency=0.0200, size=10_000, val=0.9370), larger])

    assert chosen_of(10_204) == "larger"  # 2 % of its bytes more, and the better score on validation
    assert chosen_of(10_205) == "smaller"
    assert chosen_of(10_100, score=0.82) == "smaller"  # the test set refutes the other


def test_an_estimate_ranks_where_nothing_is_measured():
    rows = [
        version(name, latency=None, size=size, runtime="vela", latency_ms_est=ms)
        for name, ms, size in (("slow", 2.0, 10), ("fast", 1.0, 20))
    ]
    assert choose(rows, beside=[*rows, float_baseline()]).row["label"] == "fast"


def test_a_file_of_unknown_size_is_not_the_smallest():
    unknown = version("unknown", size_bytes=None)
    assert chosen([float_baseline(), version(), unknown]) == "other"
    assert [row["label"] for row in front([float_baseline(), version(), unknown])] == ["other", "float baseline"]
    assert front([]) == []


def test_a_point_of_its_own_ships_itself():
    """Rows that no point_id joins are points of their own, also where all else is equal."""
    fast = version("fast", point_id=None, latency=0.001)
    better = version("better on validation", point_id=None, val=0.94)
    assert chosen([float_baseline(), fast, better]) == "fast"


def test_limits_hold_and_an_unknown_figure_keeps_none():
    rows = baselines() + quantized()
    assert chosen(rows) == "prune l2 50% + int8 √"
    assert chosen(rows, max_loss=0.001) == "int8"
    assert choose(rows, Limits(runtime="onnx")).row["runtime"] == "onnx"
    assert chosen(rows, max_loss=0.01, max_size_bytes=4000) == "codebook 4 bit"
    assert chosen(rows, max_loss=0.01, max_size_bytes=4000, max_latency_ms=1.0) is None  # its latency is not known
    assert chosen(rows, max_size_bytes=4980) == "prune l2 50% + int8 √"
    assert chosen(rows, max_size_bytes=10) is None
    for wrong in (math.nan, -1.0, math.inf):
        with pytest.raises(BadInput, match="max_loss"):
            Limits(max_loss=wrong)
    with pytest.raises(BadInput, match="cost 'ram' is unknown"):
        front(rows, "ram")


def test_the_smallest_that_keeps_the_score_is_named_beside_the_fastest():
    fast, small = version("fast", latency=0.001), version("small", size=4000, latency=0.02)
    assert choose([float_baseline(), fast, small]).smallest["label"] == "small"
    assert choose([float_baseline(), fast, small | {"size_bytes": 8500}]).smallest is None  # hardly smaller
    assert choose([float_baseline(), fast, small | {"val_score": 0.9}]).smallest is None
    assert choose([float_baseline(), fast, small | {"verdict": "worse", "delta": -0.1}]).smallest is None


# A baseline that has not learned


@pytest.mark.parametrize(
    ("score", "low", "chance", "has_learned"),
    [
        (0.10, 0.08, 0.10, False),
        (0.18, 0.157, 0.103, False),  # surely above chance, and still of no use
        (0.25, 0.17, 0.10, False),  # more than 0.19 is needed
        (0.25, 0.20, 0.10, True),
        (0.94, 0.93, 0.90, True),  # more than 0.91 is needed
        (0.94, None, 0.10, True),
        (0.10, None, 0.10, False),
        (0.10, 0.08, None, True),  # nothing to compare with
    ],
)
def test_learned_is_clearly_better_than_a_constant_answer(score, low, chance, has_learned):
    assert learned(float_baseline(score=score, score_lo=low, chance=chance)) is has_learned


def test_the_margin_counts_where_a_tenth_is_less():
    row = float_baseline(score=0.98, score_lo=0.9651, chance=0.96)
    assert learned(row)
    assert not learned(row | {"score_lo": 0.9649})  # above 0.96 by a tenth of what is left, and not by the margin
    assert not learned(row | {"margin": 0.02})


def test_nothing_is_chosen_when_any_baseline_has_not_learned():
    rows = [float_baseline(), version()]
    assert choose(rows).row is not None
    bad = float_baseline(seed=1, row_id="b1", score=0.11, score_lo=0.09)
    choice = choose([*rows, bad])
    assert (choice.row, choice.unlearned, choice.baseline) == (None, bad, bad)
    assert (choice.n_versions, choice.n_within, choice.n_keeping) == (1, 0, 0)
    assert choose([version()], beside=[version(), bad]).unlearned is bad  # in another setting of the same model


def test_nothing_is_chosen_without_a_baseline_or_without_rows():
    assert choose([version()]).row is None
    assert choose([]).row is None
    assert choose([new_row(row_id="a", status="failed")]).row is None


def test_counts_are_of_points_not_of_seeds():
    rows = [float_baseline(), *(version("a", seed=seed) for seed in (0, 1)), version("b", val=0.5), version("c", size=10**6)]
    choice = choose(rows, Limits(max_size_bytes=20_000))
    assert (choice.n_versions, choice.n_within, choice.n_keeping) == (3, 2, 1)
