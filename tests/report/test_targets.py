"""Boards: what runs where, what fits, and what to ship there by the same rules as every answer."""

from __future__ import annotations

import pytest
from example_rows import baselines, example

from edgebook.devices import Device, load_devices
from edgebook.errors import BadInput
from edgebook.report import plots, targets

BASE = {"label": "baseline", "family": "baseline", "method": "baseline", "latency": None, "score": 0.937, "val": 0.938}
BOARDS = {
    "micro": Device("micro", ("tflm",), 50_000, 30_000, "a test"),
    "npu": Device("npu", ("tflm", "vela"), 50_000, 30_000, "a test", accelerator="ethos-u55-128"),
    "tiny": Device("tiny", ("tflm",), 100, 100, "a test"),
    "linux": Device("linux", ("onnx",), 10**9, 10**9, "a test"),
}


def micro(label="net", **values):
    """An int8 file for the kernels of microcontrollers."""
    figures = {"score": 0.937, "val": 0.938, "size": 9000, "latency": None, "family": "quantize", "method": "int8"}
    return example(label, **(figures | {"runtime": "tflm", "precision": "int8-static", "arena_bytes": 5000} | values))


def floats():
    return example(size=23_000, runtime="tflm", arena_bytes=20_000, **BASE)


def npu(label="net", **values):
    return micro(label, **({"runtime": "vela", "device": "ethos-u55-128", "size": 12_000, "latency_ms_est": 0.5} | values))


def choices(*rows, **limits):
    return targets.choices(list(rows), BOARDS, **limits)


def test_the_smallest_that_keeps_the_score_goes_to_a_board():
    told = choices(floats(), micro(), micro("smaller", size=5000), micro("lossy", size=100, val=0.9))
    assert told["micro"].startswith("Ship smaller (tflm, int8-static): test accuracy 93.7 % (92.9–94.4), the same")
    assert told["micro"].endswith("Flash 10.0 %, RAM 16.7 % (5.0 kB).")
    assert choices(floats(), micro(size=22_000))["micro"].startswith("Ship the float baseline")  # hardly smaller
    assert told["tiny"] == "none of the files that run there fits"
    assert told["linux"] == "none of these files runs there"


def test_a_time_of_this_machine_is_not_taken_for_the_boards():
    timed = example(**{**BASE, "label": "net", "size": 9000, "latency": 0.02, "family": "quantize", "method": "int8"})
    rows = [baselines()[0] | {"rss_bytes": 10**6}, timed | {"rss_bytes": 10**6}]
    told = targets.choices(rows, BOARDS | {"host": Device("host", ("onnx",), 10**9, 10**9, "a test")})
    assert "0.0200 ms, 1.59 times faster (1.56–1.62). The time is this machine's, not the board's. Flash" in told["linux"]
    assert "The time is this machine's" not in told["host"]


def test_controls_and_refuted_files_go_to_no_board():
    told = choices(floats(), micro(), micro("control", size=10, role="control"), micro("lucky", size=20, score=0.82))
    assert told["micro"].startswith("Ship net")
    assert "Not lucky (tflm, int8-static), which kept its accuracy on validation" in told["micro"]
    assert "control" not in told["micro"]


def test_an_accelerators_own_file_comes_first():
    told = choices(floats(), micro(), npu())
    assert told["npu"].startswith("Ship net (vela, int8-static)")
    assert "estimated at 0.500 ms, not measured" in told["npu"]
    assert told["micro"].startswith("Ship net (tflm")
    assert choices(floats(), micro(), npu(device="ethos-u65-256"))["npu"].startswith("Ship net (tflm")
    assert choices(floats(), micro(), npu(arena_bytes=40_000))["npu"].startswith("Ship net (tflm")
    assert choices(floats(), micro(), npu(val=0.9))["npu"].startswith("Ship net (tflm")  # Vela's file lost too much
    faster = npu("faster", size=13_000, latency_ms_est=0.2, point_id="other")
    assert choices(floats(), micro(), npu(), faster)["npu"].startswith("Ship faster (vela")


def test_a_baseline_that_has_not_learned_goes_to_no_board():
    bad = floats() | {"score": 0.11, "score_lo": 0.1}
    told = choices(bad, micro())
    assert list(told) == ["every board"]
    assert told["every board"].startswith("Nothing to recommend: the float baseline has not learned")


def test_the_allowed_loss_is_the_users():
    lossy = micro("lossy", size=100, val=0.92, score=0.92)
    assert choices(floats(), micro(), lossy)["micro"].startswith("Ship net")
    assert choices(floats(), micro(), lossy, max_loss=0.05)["micro"].startswith("Ship lossy")
    nothing = choices(floats() | {"arena_bytes": 10**6}, lossy)["micro"]
    assert nothing.startswith("Nothing to recommend: the only version loses more accuracy on validation than allowed.")


def test_a_latency_budget_rules_out_what_is_too_slow():
    assert choices(floats(), npu(), latency_budget_ms=0.1)["npu"].startswith("Ship the float baseline as it is (tflm")
    assert choices(floats(), npu(), latency_budget_ms=1.0)["npu"].startswith("Ship net (vela")


def test_the_table_says_why_and_where():
    lacking = [
        micro(
            runtime=name, precision="fp16", status="unsupported", error=f"{name} has no fp16", extra={"unsupported": "precision"}
        )
        for name in ("tflm", "vela")
    ]
    able = micro(runtime="litert", precision="fp16")
    together, last = targets.lines([*lacking, able], BOARDS)
    assert (together["runtime"], together["fits"]) == ("tflm, vela", "no fp16 there; litert can")
    assert last["fits"] == "no board here runs it"
    operator = lacking[0] | {"extra": {"unsupported": "operator"}, "error": "no kernel for GELU"}
    (line,) = targets.lines([operator], BOARDS)
    assert line["fits"] == "this target cannot run it: no kernel for GELU; no other runtime of this run can"
    html = targets.show([floats(), operator], BOARDS, "every <target>").data
    assert "no kernel for GELU" in html
    assert "every &lt;target&gt;" in html


def test_the_table_shows_figures_and_boards():
    boards = load_devices()
    (line,) = targets.lines([micro(arena_bytes=270_000)], boards)
    assert "nrf52840 (too much ram)" in line["fits"]
    assert "stm32h743" in line["fits"].split("; not")[0]
    assert line["figures"]["accuracy, %"] == ("93.7", "92.9–94.4")
    assert line["figures"]["RAM, kB"] == ("270", "arena")
    assert targets.lines([npu()], boards)[0]["figures"]["latency, ms"] == ("0.500", "estimated")
    assert targets.lines([floats()], boards)[0]["figures"]["against the baseline"] == ("–", "")
    assert targets.lines([micro(size=10)], {f"b{n}": BOARDS["micro"] for n in range(3)})[0]["fits"] == "all 3 that run it"


def test_boards_are_drawn_where_a_file_runs():
    figure = plots.boards([floats(), micro(), npu(), baselines()[0] | {"rss_bytes": 10**6}, baselines()[1]], BOARDS)
    axes = figure.axes[0]
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["micro", "npu", "tiny", "linux"]
    assert sum(len(dots.get_offsets()) for dots in axes.collections) == 2 + 3 + 2 + 1
    with pytest.raises(BadInput, match="no file of these rows"):
        plots.boards([micro()], {"linux": BOARDS["linux"]})


def test_choices_are_a_line_for_each_board():
    html = targets.show_choices({"micro": "Ship net", "pi:22": "none of <them>"}).data
    assert '<th scope="row">micro</th><td class="eb-fits">Ship net</td>' in html
    assert "none of &lt;them&gt;" in html
    assert html.count("<tr>") == 3
