"""Files of any origin: measured like this project's own, bad ones with a reason."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_files import CLASSES, SHAPE, WEIGHT, endless, linear, save
from typer.testing import CliRunner

from edgebook.cli import app
from edgebook.experiment.external_files import MeasureSettings, measure_external
from edgebook.experiment.notebook import Notebook
from edgebook.experiment.remeasure import measure_together
from edgebook.report.tables import html_table
from edgebook.rows import new_row
from edgebook.tasks import load_task

RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def own_lock(tmp_path_factory, monkeypatch):
    """Nothing here depends on a quiet machine: the tests wait for nobody's training."""
    monkeypatch.setenv("EDGEBOOK_LOCK", str(tmp_path_factory.getbasetemp() / "lock"))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A task that WEIGHT solves for most items: 300 test images of 2 x 4 x 4."""
    x = RANDOM.standard_normal((400, *SHAPE)).astype(np.float32)
    y = (x.reshape(400, -1) @ WEIGHT + RANDOM.standard_normal((400, CLASSES))).argmax(1)
    path = tmp_path_factory.mktemp("data") / "own.npz"
    np.savez(path, x_train=x[:50], y_train=y[:50], x_val=x[50:100], y_val=y[50:100], x_test=x[100:], y_test=y[100:])
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    linear(folder / "good.onnx")
    linear(folder / "last.onnx", channels_last=True)
    linear(folder / "worse.onnx", weight=WEIGHT + 2 * np.random.default_rng(1).standard_normal(WEIGHT.shape).astype(np.float32))
    (folder / "cut.onnx").write_bytes((folder / "good.onnx").read_bytes()[:150])
    (folder / "rubbish.tflite").write_bytes(b"not a model at all" * 20)
    shutil.copy(folder / "good.onnx", folder / "good.foo")
    linear(folder / "shape.onnx", shape=(1, 2, 4, 5), weight=RANDOM.standard_normal((40, CLASSES)).astype(np.float32))
    save(folder / "operator.onnx", [helper.make_node("Frobnicate", ["x"], ["y"], domain="nowhere")], (1, *SHAPE))
    linear(folder / "batch.onnx", shape=(8, *SHAPE))
    linear(folder / "open.onnx", shape=("n", SHAPE[0], "height", "width"))
    endless(folder / "hangs.onnx")
    return folder


def test_any_file_is_measured_and_the_bad_ones_say_why(data, files, tmp_path):
    """Every kind of bad file is one failed row with one clear line; the good ones are measured in the same session."""
    reasons = {
        "cut.onnx": "cannot load it",
        "rubbish.tflite": "cannot load it",
        "good.foo": "extension '.foo' is unknown",
        "shape.onnx": "input is (2, 4, 5), the task's (2, 4, 4)",
        "operator.onnx": "Frobnicate",
        "hangs.onnx": "no answer within 8 s",
        "absent.onnx": "no such file",
    }
    paths = [files / name for name in ("good.onnx", "last.onnx", "worse.onnx", "batch.onnx", "open.onnx", *reasons)]
    rows = {
        row["label"]: row
        for row in measure_external(paths, load_task(str(data)), tmp_path, settings=MeasureSettings(measure_s=0.1, limit_s=8))
    }
    for name, reason in reasons.items():
        assert rows[name]["status"] == "failed"
        assert reason in rows[name]["error"]
        assert "\n" not in rows[name]["error"]
    good, last, worse = (rows[f"{name}.onnx"] for name in ("good", "last", "worse"))
    right = load_task(str(data)).x_test.flatten(1).numpy() @ WEIGHT
    assert good["score"] == (right.argmax(1) == load_task(str(data)).y_test.numpy()).mean()
    assert (last["score"], last["agreement"], last["delta"]) == (good["score"], 1.0, 0.0)
    assert "channels last" in last["extra"]["layout"]
    assert "layout" not in good["extra"]
    eight = rows["batch.onnx"]  # eight items a call: scored like the others, its time is not compared with theirs
    assert (eight["batch_size"], eight["score"], eight["speedup"]) == (8, good["score"], None)
    free = rows["open.onnx"]  # height and width are the task's; its operations are counted for no size
    assert (free["score"], free["agreement"], free["macs"]) == (good["score"], 1.0, None)
    assert worse["verdict"] == "worse"
    assert worse["extra"]["mcnemar_p"] < 0.001
    assert (good["macs"], good["n_params"], good["precision"]) == (96, 96, "fp32")
    assert all(row["latency_lo"] <= row["latency_ms_p50"] <= row["latency_hi"] for row in (good, last, worse))


@pytest.fixture(scope="module")
def unclear(tmp_path_factory) -> Path:
    """Files of which a score alone would not say enough: two outputs, integer inputs of several scales, a sidecar."""
    folder = tmp_path_factory.mktemp("unclear")
    flat = helper.make_node("Flatten", ["x"], ["f"])
    product, other = helper.make_node("MatMul", ["f", "w"], ["y"]), helper.make_node("MatMul", ["f", "v"], ["e"])
    graph = helper.make_graph(
        [flat, other, product],
        "g",
        [helper.make_tensor_value_info("x", 1, (1, *SHAPE))],
        [helper.make_tensor_value_info(name, 1, (1, CLASSES)) for name in ("e", "y")],
        [numpy_helper.from_array(array, name) for name, array in (("w", WEIGHT), ("v", -WEIGHT))],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "two.onnx")
    integers = [helper.make_node("Cast", ["x"], ["c"], to=1), helper.make_node("Flatten", ["c"], ["f"]), product]
    for name, scale in (("fits", 0.04), ("small", 0.002), ("coarse", 1.0)):
        save(folder / f"{name}.onnx", integers, (1, *SHAPE), TensorProto.INT8, [("w", WEIGHT)])
        (folder / f"{name}.json").write_text(json.dumps({"input": {"scale": scale}}))
    linear(folder / "changed.onnx")
    (folder / "changed.json").write_text('{"preprocess": {"scale": -1}}')
    return folder


def test_what_was_scored_is_said_or_asked(data, unclear, tmp_path):
    task = load_task(str(data))
    names = ("two", "fits", "small", "coarse", "changed")
    paths, settings = [unclear / f"{name}.onnx" for name in names], MeasureSettings(measure_s=0.05)
    rows = dict(zip(names, measure_external(paths, task, tmp_path, settings=settings), strict=True))
    assert rows["two"]["error"] == ("two.onnx: it has 2 outputs; name the one to score with --output: e (1, 3), y (1, 3)")
    assert rows["fits"]["status"] == "ok"
    assert "clipped_inputs" not in rows["fits"]["extra"]
    hint = "; preprocess.scale and preprocess.offset in {}.json beside it bring them into its range"
    assert rows["small"]["error"].startswith("its integer input, -0.256 to 0.254, cannot hold 8")
    assert rows["small"]["error"].endswith(hint.format("small"))
    assert rows["coarse"]["error"].startswith("its integer input, -128 to 127, is filled to 2.")
    assert rows["coarse"]["error"].endswith(hint.format("coarse"))
    right = (task.x_test.flatten(1).numpy() @ WEIGHT).argmax(1) == task.y_test.numpy()
    assert rows["changed"]["score"] < 0.2 < right.mean()
    assert "the JSON beside it changes the items: times -1, plus 0" in html_table([rows["changed"]])

    (asked,) = measure_external(paths[:1], task, tmp_path, settings=replace(settings, output="y"))
    assert asked["score"] == right.mean()
    assert "output y was scored" in html_table([asked])
    (unknown,) = measure_external(paths[:1], task, tmp_path, settings=replace(settings, output="none"))
    assert "output 'none' is unknown; name the one to score" in unknown["error"]
    assert "output y was scored" in html_table(
        measure_external(paths[:1], task, tmp_path, settings=replace(settings, output="y"))
    )


def test_the_command_goes_on_after_a_bad_file_and_exits_with_1(data, files, tmp_path):
    arguments = [
        "measure",
        *(str(files / f"{name}.onnx") for name in ("cut", "good")),
        "--task",
        str(data),
        "--baseline",
        str(files / "good.onnx"),
        "--measure-s",
        "0.1",
        "--out",
        str(tmp_path / "out"),
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert result.stdout.count("cannot load it") == 1
    assert (tmp_path / "out" / "index.html").is_file()
    rows = [json.loads(line) for line in (tmp_path / "out" / "rows.jsonl").read_text().splitlines()]
    assert [(row["label"], row["status"], row["family"]) for row in rows] == [
        ("good.onnx", "ok", "baseline"),
        ("cut.onnx", "failed", "file"),
    ]


def test_files_timed_together_are_compared_with_the_baseline_of_their_batch(files, tmp_path):
    def row(name, family, batch_size):
        return new_row(
            row_id=name,
            task="own",
            model="linear",
            seed=0,
            runtime="onnx",
            precision="fp32",
            family=family,
            batch_size=batch_size,
            artifact=str(files / f"{name}.onnx"),
        )

    lab = Notebook("90_compare", "90_compare", tmp_path, {"measure_s": 0.1, "threads": 1}, None)
    rows = [row("good", "baseline", 1), row("worse", "prune", 1), row("batch", "baseline", 8)]
    one, other, eight = measure_together(lab, rows)
    assert other["baseline_id"] == one["row_id"]
    assert eight["baseline_id"] == eight["row_id"]
    assert other["speedup"] is not None
