"""Blocks of a session: the probe tells which were disturbed, and columns are made of the others."""

from pathlib import Path

import numpy as np
import pytest

from edgebook.measure import bench
from edgebook.measure.latency import latency_columns, speed_columns
from edgebook.measure.session import Measured
from edgebook.measure.timing import mark_quiet
from edgebook.runtimes.base import Artifact


def timed(blocks, probes) -> Measured:
    return Measured(Artifact(Path("x"), "onnx", "fp32"), blocks_p50=list(blocks), blocks_p90=list(blocks), probes=list(probes))


def test_disturbed_blocks_are_marked_by_the_probe_alone():
    """A slow block with a quiet probe stays; a block with a slow probe goes, in the latency and in the speed-up."""
    base = timed([1.0] * 12, [100.0] * 12)
    file = timed([2.0] * 8 + [5.0] * 2 + [4.0] * 2, [100.0] * 8 + [150.0] * 2 + [100.0] * 2)
    mark_quiet([base, file])
    assert file.quiet == [True] * 8 + [False] * 2 + [True] * 2
    assert latency_columns(file)["extra"]["disturbed"] == pytest.approx(2 / 12, abs=1e-3)
    ratio = speed_columns(file, base)["speedup"]
    assert speed_columns(timed([2.0] * 8 + [4.0] * 2, []), timed([1.0] * 10, []))["speedup"] == pytest.approx(ratio)


def test_a_machine_that_is_never_quiet_is_unstable():
    base, file = timed([1.0, 1.3] * 10, [100.0] + [200.0] * 19), timed([1.0, 1.3] * 10, [200.0] * 20)
    mark_quiet([base, file])
    assert speed_columns(file, base)["speed_verdict"] == "unstable"
    assert latency_columns(file)["extra"]["latency_unstable"]


def test_a_block_has_a_time_for_every_call():
    calls = []
    times = bench.run_block(lambda: calls.append(1), 0.0, at_least=5)
    assert len(times) == len(calls) == 5
    assert (times > 0).all()


def test_warming_ends_when_two_blocks_agree_or_at_its_limit(monkeypatch):
    medians = iter([100, 50, 30, 29.9])
    monkeypatch.setattr(bench, "run_block", lambda invoke, seconds: np.array([next(medians)]))
    program = bench.Program(lambda x: None, lambda: None, lambda: None, (1,))
    assert bench.warm(program, {"seconds": 60}) == {"steady": True}
    assert list(medians) == []
    assert bench.warm(program, {"seconds": 0}) == {"steady": False}
