"""Measuring: real rows from real files, and a file that crashes, hangs or is broken harms only itself."""

import sys

import numpy as np
import pytest

from edgebook import rows, runtimes
from edgebook.experiment.notebook import attempt
from edgebook.experiment.sweep import measure
from edgebook.measure import session
from edgebook.runtimes import Artifact, Quant


@pytest.fixture
def onnx_file(net, mnist1d, tmp_path):
    return runtimes.export(net, mnist1d, tmp_path / "net", runtime="onnx")


def splits(task, n=50):
    return {"test": task.x_test[:n].numpy()}


def test_a_session_scores_and_times_every_file_and_a_broken_one_says_why(onnx_file, mnist1d, tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"this is not a network")
    gone = Artifact(tmp_path / "gone.onnx", "onnx", "fp32")
    found = session.measure_files([onnx_file, Artifact(broken, "onnx", "fp32"), gone, onnx_file], splits(mnist1d), seconds=0.05)
    good, bad, absent, again = found
    assert good.error is again.error is None
    assert np.array_equal(good.outputs["test"], again.outputs["test"])
    assert 10 <= len(good.blocks_p50) == len(again.blocks_p50) <= 20
    assert good.n_calls > 75
    assert 0 < good.rss_bytes < 200e6
    assert "cannot load it" in bad.error
    assert absent.error
    assert not bad.blocks_p50


def test_a_file_of_another_shape_is_refused_with_both_shapes(onnx_file, digits):
    (found,) = session.measure_files([onnx_file], {"test": digits.x_test.numpy()}, seconds=0.05)
    assert found.error == "the file's input is (1, 40), the task's (1, 8, 8)"


def test_a_runtime_that_hangs_or_dies_ends_only_its_own_measurement(onnx_file, mnist1d, monkeypatch):
    real = session.subprocess.Popen
    programs = iter([["-c", "import time; time.sleep(60)"], ["-c", "import os; os.kill(os.getpid(), 11)"]])

    def popen(command, **more):
        swap = next(programs, None)
        return real([sys.executable, *swap] if swap else command, **more)

    monkeypatch.setattr(session.subprocess, "Popen", popen)
    monkeypatch.setattr(session.os, "cpu_count", lambda: 1)  # one after the other, so that each gets its program
    hangs, dies, good = session.measure_files([onnx_file] * 3, splits(mnist1d), seconds=0.05, limit_s=5)
    assert hangs.error == "no answer within 5 s"
    assert dies.error.startswith("the process died: killed by SIGSEGV")
    assert good.error is None
    assert len(good.blocks_p50) >= 10


def test_slow_runtimes_score_the_same_fixed_subset(monkeypatch, onnx_file, mnist1d):
    monkeypatch.setattr(session, "SLOW", ((0.0, 20),))
    (found,) = session.measure_files([onnx_file], splits(mnist1d, 100), seconds=0.05)
    assert len(found.outputs["test"]) == 20
    assert np.array_equal(found.items["test"], session.subset(100, 1.0))


def test_the_slower_the_fewer_items_and_the_few_are_among_the_many():
    quick, slow, slower, slowest = (session.subset(3000, ms) for ms in (0.1, 2.0, 20.0, 50.0))
    assert (len(quick), len(slow), len(slower), len(slowest)) == (3000, 1000, 250, 100)
    assert set(slowest) < set(slower) < set(slow)


def test_the_worker_imports_its_runtime_and_numpy_only():
    code = "import sys; import edgebook.measure.bench, edgebook.runtimes.onnx, edgebook.runtimes.litert; " \
           "print([m for m in ('torch', 'pandas', 'onnx', 'scipy', 'litert_torch') if m in sys.modules])"  # fmt: skip
    assert session.subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_rows_of_an_execution(lab):
    net = lab.points[0].model
    with attempt(lab, method="baseline", family="quantize", label="int8", asked={}, quants=[Quant(n_calibration=16)]) as point:
        point.model = net
    with attempt(lab, method="prune-l2", family="prune", label="fails", asked={"pruning_ratio": 2}) as point:
        raise RuntimeError("pruned to nothing\nlong story")
    found = measure(lab)
    assert rows.read_rows(lab.run_dir) == found
    by = {(row["label"], row["runtime"]): row for row in found}
    base, int8, failed = by["conv1d baseline", "onnx"], by["int8", "litert"], by["fails", "onnx"]
    assert (failed["status"], failed["error"], failed["score"]) == ("failed", "pruned to nothing", None)
    assert base["verdict"] == base["speed_verdict"] == "same"
    assert base["speedup"] == 1
    assert base["score_lo"] < base["score"] < base["score_hi"]
    assert base["fidelity"] >= 0.999
    assert int8["baseline_id"] == by["conv1d baseline", "litert"]["row_id"]
    assert int8["compression_ratio"] == pytest.approx(by["conv1d baseline", "litert"]["size_bytes"] / int8["size_bytes"])
    assert int8["delta_lo"] <= int8["delta"] <= int8["delta_hi"]
    assert len({row["row_id"] for row in found}) == len(found)
    with np.load(lab.run_dir / base["samples"]) as samples:
        assert (samples[f"{base['row_id']}.outputs"].argmax(1) == samples["labels"]).mean() == pytest.approx(base["score"])


def test_eager_pytorch_is_timed_on_one_item_too(net, mnist1d, tmp_path):
    made = runtimes.export(net, mnist1d, tmp_path / "net", runtime="torch")
    few, many = (session.measure_files([made], splits(mnist1d, n), seconds=0.1)[0] for n in (1, 1000))
    assert np.median(many.blocks_p50) < 5 * np.median(few.blocks_p50)


def test_rows_refuse_names_that_are_no_column():
    with pytest.raises(KeyError, match="acuracy"):
        rows.new_row(acuracy=1.0)
