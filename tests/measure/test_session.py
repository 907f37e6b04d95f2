"""A session: every file is scored and timed, and one that crashes, hangs or is broken harms only itself."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx_files
import pytest
from onnx import helper

from edgebook.boards import local
from edgebook.measure import scoring, session, timing
from edgebook.runtimes.base import Artifact, Quant
from edgebook.runtimes.export import export


@pytest.fixture
def onnx_file(net, mnist1d, tmp_path):
    return export(net, mnist1d, tmp_path / "net", runtime="onnx")


def splits(task, n=50):
    return {"test": task.x_test[:n].numpy()}


def test_every_file_is_scored_and_timed_and_a_broken_one_says_why(onnx_file, mnist1d, tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"this is not a network")
    gone = Artifact(tmp_path / "gone.onnx", "onnx", "fp32")
    files = [onnx_file, Artifact(broken, "onnx", "fp32"), gone, onnx_file]
    good, bad, absent, again = session.measure_files(files, splits(mnist1d), seconds=0.05)
    assert good.error is again.error is None
    assert np.array_equal(good.outputs["test"], again.outputs["test"])
    assert 10 <= len(good.blocks_p50) == len(again.blocks_p50) <= 20
    assert good.n_calls > 75
    assert 0 < good.rss_bytes < 200e6
    assert "cannot load it" in bad.error
    assert absent.error
    assert not bad.blocks_p50


def test_a_file_of_another_shape_is_timed_and_not_scored_with_both_shapes(onnx_file, digits):
    (result,) = session.measure_files([onnx_file], {"test": digits.x_test.numpy()}, seconds=0.05)
    assert (result.error, result.outputs) == (None, {})
    assert result.not_scored == "the file's input is (1, 40), the task's (1, 8, 8)"
    assert result.n_calls


def test_a_runtime_that_hangs_or_dies_ends_only_its_own_measurement(onnx_file, mnist1d, monkeypatch):
    programs = iter([["-c", "import time; time.sleep(60)"], ["-c", "import os; os.kill(os.getpid(), 11)"]])
    real = subprocess.Popen

    def popen(command, **more):
        swap = next(programs, None)
        return real([sys.executable, *swap] if swap else command, **more)

    monkeypatch.setattr(local.subprocess, "Popen", popen)
    monkeypatch.setattr(session.os, "cpu_count", lambda: 1)  # one after the other, so that each gets its program
    hangs, dies, good = session.measure_files(
        [onnx_file] * 3, splits(mnist1d), seconds=0.05, board=replace(local.BOARD, limit_s=10)
    )
    assert hangs.error == "no answer within 10 s"
    assert dies.error.startswith("the process died: killed by SIGSEGV")
    assert good.error is None
    assert len(good.blocks_p50) >= 10


def test_outputs_keep_their_shape(tmp_path):
    """(n, 4, 4, 2) stays so; a file without a batch dimension still gives one row per item; channels come first again."""
    x = np.random.default_rng(1).standard_normal((7, *onnx_files.SHAPE)).astype(np.float32)
    identity = helper.make_node("Relu", ["x"], ["y"])
    first, last = (1, *onnx_files.SHAPE), (1, *onnx_files.SHAPE[1:], onnx_files.SHAPE[0])
    flat = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("Squeeze", ["f"], ["y"])]
    paths = [
        onnx_files.save(tmp_path / "image.onnx", [identity], first, outputs=first),
        onnx_files.save(tmp_path / "last.onnx", [identity], last, outputs=last),
        onnx_files.save(tmp_path / "flat.onnx", flat, first, outputs=(32,)),
    ]
    results = session.measure_files([Artifact(path, "onnx", "fp32") for path in paths], {"test": x}, seconds=0.01)
    image, transposed, squeezed = (result.outputs["test"] for result in results)
    np.testing.assert_array_equal(image, np.maximum(x, 0))
    np.testing.assert_array_equal(transposed, image)
    np.testing.assert_array_equal(squeezed, x.reshape(7, -1))
    assert [result.layout for result in results] == ["as given", "channels last", "as given"]


def test_outputs_that_are_not_finite_are_refused(tmp_path):
    nodes = [helper.make_node("Log", ["x"], ["y"])]
    path = onnx_files.save(tmp_path / "log.onnx", nodes, (1, 2), outputs=(1, 2))
    x = np.array([[1.0, -1.0]], np.float32)
    (result,) = session.measure_files([Artifact(path, "onnx", "fp32")], {"test": x}, seconds=0.01)
    assert result.error == "the file gives outputs that are not finite numbers"


def test_outputs_of_the_same_bytes_are_computed_once(net, mnist1d, tmp_path, monkeypatch):
    """An accelerator's outputs are those of the file that was compiled for it."""
    settings = [("litert", Quant(n_calibration=32)), ("tflm", Quant(n_calibration=32)), ("vela", Quant(n_calibration=32))]
    three = [export(net, mnist1d, tmp_path / name, runtime=name, quant=quant) for name, quant in settings]
    scored, score = [], scoring.score
    monkeypatch.setattr(
        session, "score", lambda worker, result, *rest: scored.append(result.artifact.runtime) or score(worker, result, *rest)
    )
    ours, _, compiled = session.measure_files(three, splits(mnist1d), seconds=0.05)
    assert sorted(scored) == ["litert", "tflm"]
    assert np.array_equal(compiled.outputs["test"], ours.outputs["test"])
    assert not compiled.blocks_p50


def test_a_file_is_timed_in_several_processes(tmp_path, monkeypatch):
    """Two files, four processes each (more when disturbed), and all blocks are kept with the process that they ran in."""
    started = []
    monkeypatch.setattr(timing, "RESTART_S", 0.05)
    files = [Artifact(onnx_files.linear(tmp_path / f"{name}.onnx"), "onnx", "fp32") for name in ("one", "two")]
    real = local.subprocess.Popen
    monkeypatch.setattr(local.subprocess, "Popen", lambda command, **more: started.append(command) or real(command, **more))
    one, two = session.measure_files(files, {}, seconds=0.1)
    assert one.error is two.error is None
    assert sorted(set(one.process))[:4] == [0, 1, 2, 3]
    assert len(started) == 2 * len(set(one.process))
    assert one.process == two.process
    assert len(one.blocks_p50) == len(one.process) >= 10


def test_memory_grows_with_the_weights(tmp_path):
    """24 MB of weights more than nothing; the runtime may hold them twice."""
    wide = np.random.default_rng(0).standard_normal((32, 200_000)).astype(np.float32)
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["y"])]
    small = onnx_files.linear(tmp_path / "small.onnx")
    big = onnx_files.save(tmp_path / "big.onnx", nodes, (1, *onnx_files.SHAPE), weights=[("w", wide)], outputs=(1, 200_000))
    results = session.measure_files([Artifact(path, "onnx", "fp32") for path in (small, big)], {}, seconds=0.01)
    grown = results[1].rss_bytes - results[0].rss_bytes
    assert wide.nbytes <= grown <= 3.5 * wide.nbytes


def test_eager_pytorch_is_timed_on_one_item_too(net, mnist1d, tmp_path):
    """Scoring leaves all items in place; what is timed later is one item again."""
    from edgebook.measure.bench import score
    from edgebook.runtimes.base import runtime

    made = export(net, mnist1d, tmp_path / "net", runtime="torch")
    program = runtime("torch").side("load").load(made.path)
    np.save(tmp_path / "x.npy", mnist1d.x_test[:100].numpy())
    score(program, {"x": tmp_path / "x.npy", "y": tmp_path / "y.npy"})
    assert np.load(tmp_path / "y.npy").shape == (100, 10)
    program.invoke()
    assert program.get().shape == (1, 10)
