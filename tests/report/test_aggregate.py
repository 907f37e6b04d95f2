"""Rows become fewer rows without a figure being invented: seeds are merged, files counted once."""

from __future__ import annotations

import math

import pytest
from example_rows import all_wrong, baselines, example, quantized, seeds

from edgebook.metrics.intervals import over_seeds
from edgebook.metrics.verdicts import speed_verdict, verdict
from edgebook.report.aggregate import files, grouped, is_float_baseline, is_own_baseline, merge, value, with_references


def test_several_seeds_become_means_and_intervals():
    rows = [row | {"macs": 10 * row["seed"], "extra": {"n_nodes": 5}} for row in seeds()]
    (merged,) = merge(rows)
    for name in ("score", "delta", "latency_ms_p50"):
        over = over_seeds([row[name] for row in rows])
        low, high = {"latency_ms_p50": ("latency_lo", "latency_hi")}.get(name, (f"{name}_lo", f"{name}_hi"))
        assert (merged[name], merged[low], merged[high]) == (over["mean"], over["lo"], over["hi"])
    assert (merged["seed"], merged["macs"], merged["extra"]["n_seeds"], merged["extra"]["n_nodes"]) == (None, 10, 3, 5)
    assert merged["extra"]["score_sd"] == over_seeds([row["score"] for row in rows])["sd"]
    assert merged["verdict"] == verdict(merged["delta_lo"], merged["delta_hi"])
    assert merge([merged]) == [merged]
    assert merge(rows[:1]) == rows[:1]
    assert rows[0]["extra"] == {"n_nodes": 5}  # the input is untouched


def test_the_verdict_over_seeds_takes_the_margin_of_the_rows():
    rows = [row | {"delta": -0.02 - 0.0001 * row["seed"]} for row in seeds()]
    assert merge(rows)[0]["verdict"] == "worse"
    assert merge([row | {"margin": 0.05} for row in rows])[0]["verdict"] == "same"


def test_a_baseline_has_no_verdict_over_seeds_either():
    rows = [row for seed in range(3) for row in baselines(seed=seed)[:1]]
    (merged,) = merge(rows)
    assert (merged["verdict"], merged["speed_verdict"], merged["delta"]) == (None, None, None)


def test_speed_ups_are_averaged_as_ratios():
    rows = [row | {"speedup": ratio} for row, ratio in zip(seeds(), (2.0, 8.0), strict=False)]
    (merged,) = merge(rows)
    assert merged["speedup"] == pytest.approx(4.0)
    assert merged["extra"]["speedup_sd"] == over_seeds([math.log(2), math.log(8)])["sd"]
    alone = merge([rows[0], rows[1] | {"speedup": None}])[0]
    assert (alone["speedup"], alone["speedup_lo"]) == (pytest.approx(2.0), None)
    assert merged["speed_verdict"] == speed_verdict(merged["speedup_lo"], merged["speedup_hi"])
    assert merge([rows[0] | {"speed_verdict": "unstable"}, rows[1]])[0]["speed_verdict"] == "unstable"
    assert merge([row | {"speed_verdict": None} for row in rows])[0]["speed_verdict"] is None
    assert merge([row | {"speedup": None} for row in rows])[0]["speedup_lo"] is None


def test_what_belongs_to_one_seed_is_not_said_of_all():
    extras = ({"mcnemar_p": 0.01, "flags": ["a", "b"], "macro_f1": 0.8}, {"flags": ["b"], "macro_f1": 0.6}, {"flags": ["b"]})
    (merged,) = merge([row | {"extra": extra} for row, extra in zip(seeds(), extras, strict=True)])
    assert "mcnemar_p" not in merged["extra"]
    assert merged["extra"]["flags"] == ["b"]
    assert merged["extra"]["macro_f1"] == pytest.approx(0.7)
    assert "calibration_error" not in merged["extra"]


def test_only_equal_points_are_merged_and_failures_stay():
    rows = seeds()
    failed = rows[0] | {"status": "failed", "score": None, "row_id": "f"}
    assert [row["status"] for row in merge([*rows, failed])] == ["ok", "failed"]
    for key in ("runtime", "precision", "device", "threads", "batch_size", "task", "model", "point_id"):
        assert len(merge([*rows[:2], rows[2] | {key: "other"}])) == 2
    assert len(merge([row | {"point_id": None} for row in rows])) == 3  # nothing says that they are the same


def test_one_file_is_one_row_and_its_latest_measurement_counts():
    first = quantized()[0]
    again = first | {"row_id": "again", "parent_id": first["row_id"], "notebook": "90_compare", "latency_ms_p50": 0.019}
    elsewhere = first | {"row_id": "later", "notebook": "45_combine"}
    assert files([first, again, elsewhere]) == [again]
    assert files([first, elsewhere]) == [first]
    made_from_it = first | {"row_id": "child", "parent_id": first["row_id"], "sha256": "another file"}
    assert files([first, made_from_it]) == [first, made_from_it]
    for key in ("runtime", "device", "threads", "batch_size", "seed", "role"):
        assert len(files([first, again | {key: "other"}])) == 2
    assert len(files(all_wrong() + all_wrong()[:1])) == 3
    unhashed = first | {"sha256": None}
    assert files([unhashed, unhashed | {"row_id": "b"}, unhashed | {"row_id": "c", "point_id": "p"}]) == [
        unhashed,
        unhashed | {"row_id": "c", "point_id": "p"},
    ]
    failed = all_wrong()[0]
    assert len(files([failed, failed | {"row_id": "another attempt"}])) == 2
    itself = first | {"parent_id": first["row_id"]}
    assert files([itself, elsewhere]) == [itself]


def test_references_count_in_their_own_session_only():
    rows = [row | {"session": "s"} for row in baselines()]
    fast = example("fast", score=0.9, val=0.9, size=1, latency=0.0121, family="prune", method="p", session="s")
    shown = with_references([*rows, fast, fast | {"session": "other"}, fast | {"session": None}])
    assert shown[4]["extra"] == {"vs_torch": pytest.approx(10.0), "vs_onnx": pytest.approx(0.0318 / 0.0121)}
    assert shown[5]["extra"] == shown[6]["extra"] == {}
    assert fast["extra"] == {}
    assert with_references([row | {"session": None} for row in rows])[0]["extra"] == {}
    assert with_references([fast | {"extra": {"n_nodes": 3}}])[0]["extra"] == {"n_nodes": 3}


def test_values_and_kinds_of_baselines():
    row = quantized()[0] | {"asked": {"bits": 8}, "extra": None}
    assert (value(row, "asked.bits"), value(row, "asked.other"), value(row, "extra.a"), value(row, "size_bytes")) == (
        8,
        None,
        None,
        9010,
    )
    base = baselines()[0]
    assert is_float_baseline(base)
    assert is_float_baseline(baselines()[3])  # eager PyTorch
    assert not is_float_baseline(base | {"role": "control"})
    assert not is_float_baseline(base | {"precision": "int8-static"})
    assert is_own_baseline(row | {"baseline_id": row["row_id"]})
    assert not is_own_baseline(row | {"baseline_id": base["row_id"]})
    assert list(grouped([row, base, row], ("family",))) == [("quantize",), ("baseline",)]
