"""What a reader is told: sentences that one would act on, for every outcome of the choice."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from example_rows import all_wrong, baselines, example, quantized

from edgebook import metrics
from edgebook.report.answer import answer
from edgebook.report.choose import Limits
from edgebook.report.tables import html_table, table

SMALL = {"size": 5000, "latency": 0.01, "family": "prune", "method": "prune"}


def version(label="other", **values):
    figures = {"score": 0.937, "val": 0.9375, "size": 9000, "latency": 0.02, "family": "quantize", "method": "int8"}
    return example(label, **(figures | values))


def said(*rows, **limits):
    return answer([baselines()[0], *rows], Limits(**limits)).text


@pytest.mark.parametrize(
    ("score", "latency", "present", "absent"),
    [
        (0.9372, 0.0318, ("the same as the float baseline within 0.5 points", "as fast as"), ("better", "faster", "worse")),
        (0.9560, 0.0100, ("better than the float baseline: +1.9 points", "times faster"), ("worse", "slower")),
        (0.9150, 0.0500, ("worse than the float baseline: −2.2 points", "of 100.0 points that", "slower"), ("better", "faster")),
        (0.9335, 0.0312, ("cannot tell from the float baseline", "cannot tell whether faster"), ("better", "worse")),
    ],
)
def test_words_follow_the_verdicts(score, latency, present, absent):
    rows = [baselines()[0] | {"latency_ms_p50": 9.0}, version(score=score, latency=latency)]
    text = answer(rows, Limits(max_loss=1.0)).text
    assert all(part in text for part in present), text
    assert not any(part in text for part in absent), text
    shown = table(rows).set_index("version").loc["other"]
    assert (shown["verdict"], shown["speed verdict"]) == (rows[1]["verdict"], rows[1]["speed_verdict"])
    chips = re.findall(r'class="eb-v [^"]*">([^<]*)<', html_table(rows))
    assert chips == [rows[1]["verdict"], rows[1]["speed_verdict"]]  # and none for the baseline itself


def test_the_whole_sentence():
    rows = [*baselines(), version("int8", latency=0.0106, runtime="litert", precision="int8-static")]
    assert answer(rows).text == (
        "Ship int8 (litert, int8-static): test accuracy 93.7 % (92.9–94.4), the same as the float baseline within 0.5 points: "
        "0.0 points (−0.3 to +0.3); 9.0 kB, 2.6 times smaller; 0.0106 ms, 2.75 times faster (2.69–2.80)."
    )


def test_a_baseline_that_has_not_learned_is_said_first_and_nothing_is_recommended():
    bad = baselines()[0] | {"score": 0.18, "score_lo": 0.157, "score_hi": 0.205, "chance": 0.103, "seed": 2}
    result = answer([bad, version()])
    assert (result.kind, result.row) == ("nothing", None)
    assert result.text.startswith("Nothing to recommend: the float baseline of seed 2 has not learned the task.")
    assert "18.0 % (15.7–20.5), the best constant answer has 10.3 %" in result.text
    assert "Ship" not in result.text


def test_the_float_baseline_ships_with_the_true_reason():
    assert "Nothing lighter was measured beside it." in said()
    assert "The only version loses more accuracy on validation" in said(version(val=0.9))
    assert "All 2 versions lose more accuracy on validation" in said(version("a", val=0.9), version("b", val=0.8))
    text = said(version("int8", latency=0.04))  # half the bytes, the same validation score, slower
    assert text.startswith("Ship the float baseline as it is (onnx, fp32): test accuracy 93.7 %")
    assert "The only version keeps its accuracy on validation, but is not faster." in text
    assert "Where bytes matter more: int8 (onnx, fp32), test accuracy 93.7 %" in text
    assert "lose" not in text
    untimed = answer([baselines()[0] | {"latency_ms_p50": None}, version("int8", latency=None, size=30_000)]).text
    assert "The only version keeps its accuracy on validation, but is not smaller." in untimed
    lucky = version("lucky", **{**SMALL, "score": 0.82, "val": 0.9377})
    assert "2 of 2 versions keep its accuracy on validation, but no other is faster. Not lucky" in said(
        lucky, version(latency=0.04)
    )
    assert "No version keeps the limits (in onnx)." in said(version(runtime="litert"), runtime="onnx")


def test_what_the_test_set_refutes_is_named_and_never_recommended():
    lucky = version("lucky", **{**SMALL, "score": 0.82, "val": 0.9377})
    text = said(lucky, version("honest"))
    assert text.startswith("Ship honest (onnx, fp32)")
    assert "Not lucky (onnx, fp32), which kept its accuracy on validation: the test set shows −11.7 points" in text
    assert "more than the 0.5 points that may be lost." in text
    assert said(lucky).startswith("Ship the float baseline as it is (onnx, fp32)")
    assert "Not lucky" in said(lucky)
    many = [version(f"lucky {i}", **{**SMALL, "score": 0.82, "val": 0.9377}) for i in range(5)]
    assert "The test set refutes 2 more in the same way." in said(*many)
    assert said(lucky, max_size_bytes=6000).startswith(
        "Nothing to recommend: 1 of 1 versions keep the limits (at most 6.0 kB), 1 of them the accuracy on validation, and the "
        "test set refutes it. Not lucky"
    )


def test_nothing_within_the_limits_says_which():
    rows = baselines() + quantized()
    assert answer(rows, Limits(max_size_bytes=10, max_latency_ms=0.5, runtime="litert")).text == (
        "Nothing to recommend: no version that was measured keeps the limits (at most 0.0 kB, at most 0.500 ms, in litert)."
    )
    assert answer(rows, Limits(max_loss=0.0001, max_size_bytes=9000)).text == (
        "Nothing to recommend: 3 of 4 versions keep the limits (at most 9.0 kB), but none of them the accuracy on validation."
    )


def test_nothing_without_limits_speaks_of_none():
    def of_a_board(*rows):  # where the float baseline does not fit
        return answer([*rows], beside=[*rows, baselines()[0]]).text

    lossy, lucky = version("lossy", val=0.9), version("lucky", **{**SMALL, "score": 0.82, "val": 0.9377})
    assert of_a_board(lossy, version("b", val=0.8)) == (
        "Nothing to recommend: all 2 versions lose more accuracy on validation than allowed."
    )
    assert of_a_board(lossy, lucky).startswith(
        "Nothing to recommend: 1 of 2 versions keep the accuracy on validation, and the test set refutes it. Not lucky"
    )


def test_nothing_measured_and_nothing_to_compare_with():
    assert answer(all_wrong()).text == "Nothing to recommend: no version could be measured."
    assert "no baseline was measured" in answer([version()]).text
    assert "no file with a validation score may ship" in answer([version(role="control")]).text


def test_a_larger_file_says_so():
    assert "40.0 kB, 1.7 times larger" in said(version(size=40_000, latency=0.001))
    other = baselines()[1] | {"size_bytes": 8000}
    text = answer([baselines()[0], other, version()]).text
    assert "It is larger than the float baseline in litert, which has 8.0 kB." in text
    assert "It is larger" not in answer([baselines()[0], other | {"size_bytes": 9500}, version()]).text


def test_a_baseline_is_called_float_only_when_it_is():
    base = baselines()[0] | {"precision": "int8-static"}
    text = answer([base, version(precision="int8-static")]).text
    assert "the int8-static baseline" in text
    assert "float baseline within" not in text
    unknown = answer([base | {"precision": None}, version(precision=None)]).text
    assert "the same as the baseline within" in unknown
    assert "None" not in unknown
    assert "Ship other (onnx):" in unknown


def test_a_file_is_never_compared_with_itself():
    alone = baselines()[0] | {"precision": "int8-static", "delta": 0.0, "verdict": "same", "compression_ratio": 0.5}
    alone |= {"baseline_id": alone["row_id"], "speedup": 1.0, "speed_verdict": "same"}
    text = answer([alone]).text
    assert "same" not in text
    assert "as fast" not in text
    assert "larger" not in text


def test_another_runtime_has_no_float_file_to_pair_with():
    row = version(runtime="vela", latency=None, precision="int8-static", delta=0.0, verdict="same", latency_ms_est=0.5)
    text = answer([row | {"compression_ratio": None}], beside=[row, *baselines()[:1]]).text
    assert "; 9.0 kB; " in text
    assert "size not known; " in answer([row | {"size_bytes": None}], beside=[row, *baselines()[:1]]).text
    assert "0.0 points against the float baseline in onnx" in text
    assert "the same as" not in text
    assert "latency estimated at 0.500 ms, not measured" in text


def test_how_many_items_were_scored_stands_beside_the_figure():
    assert "(92.9–94.4) on 250 of 4 000 test items" in said(version(n_test=250))
    assert "test items" not in said(version())
    alone = [baselines()[0] | {"n_test": 250}, version(n_test=250, extra={"n_test_split": 1000})]
    assert "on 250 of 1 000 test items" in answer(alone).text


def test_a_lost_class_is_told_and_a_loss_that_the_score_shows_is_not():
    base = baselines()[0] | {"extra": {"macro_f1": 0.80, "worst_class_accuracy": 0.75}}
    text = answer([base, version(extra={"macro_f1": 0.66, "worst_class_accuracy": 0.31})]).text
    assert "macro-F1 fell from 80.0 to 66.0 %, the worst class from 75.0 to 31.0 %" in text
    assert "macro-F1 fell from 80.0 to 66.0 %." in answer([base, version(extra={"macro_f1": 0.66})]).text
    assert "macro-F1" not in answer([base, version(extra={"macro_f1": 0.785})]).text
    open_loss = version(score=0.80, extra={"macro_f1": 0.66})
    assert "macro-F1" not in answer([base, open_loss], Limits(max_loss=1.0)).text


def test_a_validation_split_too_small_to_judge_is_told():
    extra = {"n_val": 50, "val_delta": 0.0, "val_delta_lo": -0.05, "val_delta_hi": 0.05}
    assert "Validation with its 50 items tells only differences beyond 5.0 points apart." in said(version(extra=extra))
    assert "Validation" not in said(version(extra=extra | {"val_delta_lo": -0.019, "val_delta_hi": 0.019}))
    assert "Validation tells only differences beyond 5.0 points" in said(version(extra=extra | {"n_val": None}))
    assert "beyond 2.1 points" in said(version(extra=extra | {"val_delta_lo": -0.021, "val_delta_hi": 0.021}))


def test_the_seed_that_ships_is_named():
    rows = [version("student", seed=seed, val=0.9375 + 0.0001 * seed) for seed in (0, 1, 2)]
    assert "Ship student (onnx, fp32, seed 2)" in said(*rows)


def test_another_metric_brings_its_own_unit(monkeypatch):
    shown = {"scale": 1.0, "unit": "", "difference_unit": "", "decimals": 3}
    monkeypatch.setitem(metrics.METRICS, "r2", replace(metrics.METRICS["accuracy"], name="r2", label="R²", **shown))
    rows = [row | {"metric": "r2", "margin": 0.02} for row in (baselines()[0], version(score=0.93, verdict="same"))]
    text = answer(rows, Limits(max_loss=0.02)).text
    assert "test R² 0.930 (0.922–0.938), the same as the float baseline within 0.020: −0.007 (" in text
    assert "%" not in text
    assert "points" not in text
    worse = [rows[0], rows[1] | {"verdict": "worse"}]
    assert "to −0.002), of 0.020 that may be lost; " in answer(worse, Limits(max_loss=0.02)).text
