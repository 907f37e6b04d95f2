"""Files of any origin: measured like this project's own, bad ones with a reason."""

import json
import shutil
import socket
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import onnx
import pytest
import tflite_files
from onnx import TensorProto, helper, numpy_helper
from onnx_files import CLASSES, SHAPE, WEIGHT, endless, linear, save
from typer.testing import CliRunner

from edgebook.cli import app
from edgebook.errors import BadInput
from edgebook.experiment.external_files import MeasureSettings, measure_external
from edgebook.experiment.notebook import Notebook
from edgebook.experiment.remeasure import measure_together
from edgebook.report.pages.index import index
from edgebook.report.tables import html_table
from edgebook.rows import new_row
from edgebook.tasks import load_task
from edgebook.tasks.scoring_only import load_for_scoring

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
        "operator.onnx": "Frobnicate",
        "hangs.onnx": "no answer within 8 s",
        "absent.onnx": "no such file",
    }
    paths = [files / name for name in ("good.onnx", "last.onnx", "worse.onnx", "batch.onnx", "open.onnx", "shape.onnx", *reasons)]
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
    other = rows["shape.onnx"]  # it takes other items: every figure but a score
    assert (other["status"], other["score"], other["macs"]) == ("ok", None, 120)
    assert other["extra"]["not_scored"] == "the file's input is (2, 4, 5), the task's (2, 4, 4)"
    assert other["latency_ms_p50"] > 0
    assert worse["verdict"] == "worse"
    assert worse["extra"]["mcnemar_p"] < 0.001
    assert (good["macs"], good["n_params"], good["precision"]) == (96, 96, "fp32")
    assert all(row["latency_lo"] <= row["latency_ms_p50"] <= row["latency_hi"] for row in (good, last, worse))


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
            samples="samples/earlier.npz",
        )

    lab = Notebook("90_compare", "90_compare", tmp_path, {"measure_s": 0.1, "threads": 1}, None)
    rows = [row("good", "baseline", 1), row("worse", "prune", 1), row("batch", "baseline", 8)]
    one, other, eight = measure_together(lab, rows)
    assert other["baseline_id"] == one["row_id"]
    assert eight["baseline_id"] == eight["row_id"]
    assert other["speedup"] is not None
    assert [row["samples"] for row in (one, other, eight)] == [None] * 3, "their arrays are those of the rows before"
    assert [row["parent_id"] for row in (one, other, eight)] == [row["row_id"] for row in rows]


QUICK = MeasureSettings(measure_s=0.05)


def node(kind, source, target, **attributes):
    return helper.make_node(kind, [*source.split()], [*target.split()], **attributes)


@pytest.fixture(scope="module")
def single_channel(tmp_path_factory) -> tuple[Path, Path]:
    """Two classes of images of 1 x 4 x 8, as test items alone; a folder for the files. Their flat values times HALF decide."""
    folder = tmp_path_factory.mktemp("one")
    x = np.random.default_rng(3).standard_normal((90, 1, 4, 8)).astype(np.float32)
    np.savez(folder / "test.npz", x_test=x, y_test=(x.reshape(90, -1) @ HALF > 0).astype(int).ravel())
    return folder / "test.npz", folder


HALF = WEIGHT[:, :1]
WHOLE = np.concatenate([np.zeros_like(HALF), HALF], 1)


def test_a_file_is_scored_whatever_the_shape_of_its_input_and_whatever_stands_for_a_class(single_channel):
    """Test items alone are enough. Inputs (H, W) or flat; a class number, one probability or one score as the output."""
    data, folder = single_channel
    flat, both, one = node("Flatten", "x", "f"), node("MatMul", "f w", "y"), node("MatMul", "f w", "s")
    shaped = node("Reshape", "x n", "f")
    files = {
        "image": ([flat, both], (1, 1, 4, 8), WHOLE),
        "no channel": ([shaped, both], (1, 4, 8), WHOLE),
        "flat": ([node("MatMul", "x w", "y")], (1, 32), WHOLE),
        "label": ([flat, node("MatMul", "f w", "s"), node("ArgMax", "s", "y", axis=1, keepdims=0)], (1, 1, 4, 8), WHOLE),
        "probability": ([flat, one, node("Sigmoid", "s", "y")], (1, 1, 4, 8), HALF),
        "score": ([flat, node("MatMul", "f w", "y")], (1, 1, 4, 8), HALF),
    }
    paths = []
    for name, (nodes, shape, weight) in files.items():
        kind = TensorProto.INT64 if name == "label" else TensorProto.FLOAT
        paths.append(save(folder / f"{name}.onnx", nodes, shape, weights=[("w", weight), ("n", np.array([1, 32]))], output=kind))
    rows = {
        row["label"].removesuffix(".onnx"): row
        for row in measure_external(paths, load_for_scoring(str(data)), folder / "out", settings=QUICK)
    }
    for name in files:
        assert (rows[name]["status"], rows[name]["score"], rows[name]["n_test"], rows[name]["val_score"]) == (
            "ok",
            1.0,
            90,
            None,
        ), name
    assert {name: row["extra"].get("layout") for name, row in rows.items() if row["extra"].get("layout")}.keys() == {
        "no channel",
        "flat",
    }
    said = {name: row["extra"].get("outputs_are", "") for name, row in rows.items()}
    assert [name for name, text in said.items() if text] == ["label", "probability", "score"]
    assert rows["label"]["extra"]["calibration_error"] is None
    assert all(row["agreement"] == 1.0 for name, row in rows.items() if name != "image")


@pytest.fixture(scope="module")
def unclear(tmp_path_factory) -> Path:
    """Files of which a score alone would not say enough: two outputs, integer inputs of several scales, a sidecar."""
    folder = tmp_path_factory.mktemp("unclear")
    both = [node("Flatten", "x", "f"), node("MatMul", "f v", "e"), node("MatMul", "f w", "y")]
    graph = helper.make_graph(
        both,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, *SHAPE))],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, CLASSES)) for name in ("e", "y")],
        [numpy_helper.from_array(array, name) for name, array in (("w", WEIGHT), ("v", -WEIGHT))],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "two.onnx")
    integers = [node("Cast", "x", "c", to=TensorProto.FLOAT), node("Flatten", "c", "f"), node("MatMul", "f w", "y")]
    for name, scale in (("fits", 0.04), ("small", 0.002), ("coarse", 1.0)):
        save(folder / f"{name}.onnx", integers, (1, *SHAPE), TensorProto.INT8, [("w", WEIGHT)])
        (folder / f"{name}.json").write_text(json.dumps({"input": {"scale": scale}}))
    linear(folder / "changed.onnx")
    (folder / "changed.json").write_text('{"preprocess": {"scale": -1}}')
    return folder


def test_what_was_scored_is_said_or_asked(data, unclear, tmp_path):
    task, names = load_task(str(data)), ("fits", "small", "coarse", "changed", "two")
    paths = [unclear / f"{name}.onnx" for name in names]
    rows = dict(zip(names, measure_external(paths, task, tmp_path / "all", settings=QUICK), strict=True))
    assert "not scored: it has 2 outputs; name the one to score with --output: e (1, 3), y (1, 3)" in html_table([rows["two"]])
    assert rows["two"]["score"] is None
    assert (rows["fits"]["status"], rows["fits"]["extra"].get("clipped_inputs")) == ("ok", None)
    for name, start in (("small", "-0.256 to 0.254, which cannot hold 8"), ("coarse", "-128 to 127, which is filled to 2.")):
        said = rows[name]["extra"]["not_scored"]
        assert rows[name]["score"] is None
        assert said.startswith(f"the items have another scale than its integer input, {start}")
        assert said.endswith(f"; preprocess.scale and preprocess.offset in {name}.json beside it bring them into its range")
        assert said in unescape(html_table([rows[name]]))
    right = (task.x_test.flatten(1).numpy() @ WEIGHT).argmax(1) == task.y_test.numpy()
    assert rows["changed"]["score"] < 0.2 < right.mean()
    assert "the JSON beside it changes the items: times -1, plus 0" in html_table([rows["changed"]])
    (asked,) = measure_external(paths[-1:], task, tmp_path / "asked", settings=replace(QUICK, output="y"))
    assert asked["score"] == right.mean()
    assert "output y was scored" in html_table([asked])
    (unknown,) = measure_external(paths[-1:], task, tmp_path / "unknown", settings=replace(QUICK, output="none"))
    assert unknown["error"] == "two.onnx: output 'none' is unknown; allowed: e (1, 3), y (1, 3)"


def test_a_file_that_no_item_fits_gets_every_other_figure(data, files, tmp_path):
    """Integer and several inputs, two outputs, a reconstruction; and any file without a task."""
    two = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 3)) for name in ("a", "b")]
    out = [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 3))]
    graph = helper.make_graph([node("Add", "a b", "y")], "g", two, out)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "two.onnx")
    save(tmp_path / "tokens.onnx", [node("Cast", "x", "y", to=TensorProto.FLOAT)], (1, 3), kind=TensorProto.INT64)
    save(tmp_path / "reconstruction.onnx", [node("Relu", "x", "y")], (1, *SHAPE), outputs=(1, *SHAPE))
    paths = [files / "good.onnx", *sorted(tmp_path.glob("*.onnx"))]
    rows = {row["label"]: row for row in measure_external(paths, load_task(str(data)), tmp_path / "out", settings=QUICK)}
    reasons = {name: row["extra"].get("not_scored") for name, row in rows.items()}
    assert reasons == {
        "good.onnx": None,
        "reconstruction.onnx": "the file gives 32 outputs per item, the task has 3 classes",
        "tokens.onnx": "its input x is int64, not real values; tokens.json beside it can give input.scale",
        "two.onnx": "it has 2 inputs: a, b",
    }
    for row in rows.values():
        assert row["status"] == "ok"
        assert min(row["size_bytes"], row["rss_bytes"], row["latency_ms_p50"], row["extra"]["n_nodes"]) > 0
    (alone,) = measure_external([files / "good.onnx"], None, tmp_path / "alone", settings=QUICK)
    assert (alone["status"], alone["score"], alone["extra"]["not_scored"]) == ("ok", None, "no task was given")
    assert index(tmp_path / "alone").is_file()


def integer_dense() -> bytes:
    """An int8 dense layer of 16 inputs and 4 outputs."""
    weight = np.random.default_rng(0).integers(-127, 128, (4, 16), np.int8)
    tensors = [
        tflite_files.activation((1, 16), 0.1, 0),
        tflite_files.constant(weight, [0.02]),
        tflite_files.constant(np.arange(4, dtype=np.int32), [0.002]),
        tflite_files.activation((1, 4), 0.5, 0),
    ]
    operators = [("FULLY_CONNECTED", tflite_files.options("FullyConnectedOptions"), [0, 1, 2], [3])]
    return tflite_files.network(operators, [0], [3], tensors)


def test_a_microcontrollers_runtime_and_an_accelerator_take_foreign_files(tmp_path):
    """TFLM gives the arena; Vela compiles an integer file, and says of a float one that it cannot."""
    file = tmp_path / "net.tflite"
    file.write_bytes(integer_dense())
    for name in ("tflm", "vela"):
        (row,) = measure_external([file], None, tmp_path / name, settings=MeasureSettings(name, measure_s=0.05))
        assert (row["status"], row["runtime"]) == ("ok", name), row["error"]
        assert row["arena_bytes"] > 0
    assert row["latency_ms_est"] > 0
    with pytest.raises(BadInput, match=r"good\.onnx: vela takes files of another kind; allowed: \.tflite"):
        measure_external([linear(tmp_path / "good.onnx")], None, tmp_path / "x", settings=MeasureSettings("vela"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["absent.onnx"], "absent.onnx: no such file"),
        (["good.foo"], "extension '.foo' is unknown"),
        (["."], ": is a folder"),
        (["good.onnx", "--runtime", "tpu"], "runtime 'tpu' is unknown"),
        (["good.onnx", "--runtime", "litert"], "litert takes files of another kind; allowed: .tflite"),
        (["good.onnx", "--measure-s", "inf"], "measure_s = inf; allowed: "),
        (["good.onnx", "--limit-s", "inf"], "limit_s = inf; allowed: "),
        (["good.onnx", "--task", "none"], "task 'none' is unknown"),
        (["good.onnx", "--out", "."], "has other files ("),
        (["good.onnx", "--out", "good.foo"], "good.foo: is a file; allowed: a folder"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(arguments, said, files, tmp_path, monkeypatch):
    monkeypatch.chdir(files)
    before = sorted(files.iterdir())
    given = ["measure", *arguments, *([] if "--out" in arguments else ["--out", str(tmp_path / "out")])]
    with pytest.raises(BadInput) as caught:
        CliRunner().invoke(app, given, catch_exceptions=False)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (sorted(files.iterdir()), list(tmp_path.iterdir())) == (before, [])


def test_files_of_one_name_are_told_apart(files, tmp_path):
    for folder in ("a", "b/a"):
        (tmp_path / folder).mkdir(parents=True)
        shutil.copy(files / "good.onnx", tmp_path / folder)
    paths = [files / "good.onnx", tmp_path / "a" / "good.onnx", tmp_path / "b" / "a" / "good.onnx"]
    rows = measure_external(paths, None, tmp_path / "out", settings=QUICK)
    assert [row["label"] for row in rows] == [f"{files.name}/good.onnx", "a/good.onnx (1)", "a/good.onnx (2)"]


def test_a_machine_that_cannot_be_reached_is_a_row_with_the_reason(data, tmp_path):
    file = linear(tmp_path / "linear.onnx")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"ssh://127.0.0.1:{unused.getsockname()[1]}"
        (row,) = measure_external([file], load_task(str(data)), tmp_path / "out", settings=MeasureSettings(device=url))
    assert (row["status"], row["device"]) == ("failed", url.removeprefix("ssh://"))
    assert row["error"].startswith(f"{row['device']}: ")
