"""Files of any origin, a probe that tells disturbed blocks, what runs inside a file, answers without VNNI."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from edgebook import runtimes
from edgebook.cli import app
from edgebook.experiment.external_files import measure_any
from edgebook.experiment.notebook import Lab
from edgebook.experiment.remeasure import measure_together
from edgebook.measure import columns as figures
from edgebook.measure import flags, session
from edgebook.measure.portability import clipped_away, portability, risky_pairs
from edgebook.measure.session import Measured, Worker, mark_quiet, measure_files
from edgebook.models import build_model
from edgebook.models.macs import count_macs, count_params
from edgebook.rows import new_row
from edgebook.runtimes import Artifact, Quant
from edgebook.runtimes.files import calibration_items
from edgebook.runtimes.quiet import quiet
from edgebook.tasks import load_task

SHAPE, CLASSES = (2, 4, 4), 3
RANDOM = np.random.default_rng(0)
WEIGHT = RANDOM.standard_normal((32, CLASSES)).astype(np.float32)


@pytest.fixture(autouse=True)
def own_lock(tmp_path_factory, monkeypatch):
    """Nothing here depends on a quiet machine: the tests wait for nobody's training."""
    monkeypatch.setenv("EDGEBOOK_LOCK", str(tmp_path_factory.getbasetemp() / "lock"))


def save(path: Path, nodes, shape, kind=TensorProto.FLOAT, weights=(), outputs=(1, CLASSES)) -> Path:
    """An ONNX file by hand: input x, output y."""
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, outputs)],
        [numpy_helper.from_array(array, name) for name, array in weights],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("nowhere", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def linear(path: Path, shape=(1, *SHAPE), turn=False, weight=WEIGHT) -> Path:
    """Flatten and multiply; `turn`: the file takes channels last."""
    first = [helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2])] if turn else []
    nodes = [*first, helper.make_node("Flatten", ["t" if turn else "x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["y"])]
    return save(path, nodes, (1, *SHAPE[1:], SHAPE[0]) if turn else shape, weights=[("w", weight)])


def endless(path: Path) -> Path:
    """A loop of 2^60 turns: a runtime that hangs."""
    condition, value = helper.make_tensor_value_info("c", TensorProto.BOOL, ()), ("v", TensorProto.FLOAT, None)
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["c2"]), helper.make_node("Sin", ["v"], ["v2"])], "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, ()), condition, helper.make_tensor_value_info(*value)],
        [helper.make_tensor_value_info("c2", TensorProto.BOOL, ()), helper.make_tensor_value_info("v2", *value[1:])],
    )  # fmt: skip
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["m"]),
        helper.make_node("Loop", ["n", "go", "m"], ["y"], body=body),
    ]  # fmt: skip
    weights = [("w", WEIGHT), ("n", np.array(2**60, np.int64)), ("go", np.array(True))]
    return save(path, nodes, (1, *SHAPE), weights=weights)


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
    linear(folder / "last.onnx", turn=True)
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
        "cut.onnx": "cannot load it", "rubbish.tflite": "cannot load it", "good.foo": "extension '.foo' is unknown",
        "shape.onnx": "input is (2, 4, 5), the task's (2, 4, 4)", "operator.onnx": "Frobnicate",
        "hangs.onnx": "no answer within 8 s", "absent.onnx": "no such file",
    }  # fmt: skip
    paths = [files / name for name in ("good.onnx", "last.onnx", "worse.onnx", "batch.onnx", "open.onnx", *reasons)]
    rows = {row["label"]: row for row in measure_any(paths, load_task(str(data)), tmp_path, measure_s=0.1, limit_s=8)}
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


def test_the_command_goes_on_after_a_bad_file_and_exits_with_1(data, files, tmp_path):
    arguments = ["measure", *(str(files / f"{name}.onnx") for name in ("cut", "good")), "--task", str(data),
                 "--baseline", str(files / "good.onnx"), "--measure-s", "0.1", "--out", str(tmp_path / "out")]  # fmt: skip
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert result.stdout.count("cannot load it") == 1
    assert (tmp_path / "out" / "index.html").is_file()
    rows = [json.loads(line) for line in (tmp_path / "out" / "rows.jsonl").read_text().splitlines()]
    assert [(row["label"], row["status"], row["family"]) for row in rows] == [
        ("good.onnx", "ok", "baseline"), ("cut.onnx", "failed", "file")]  # fmt: skip


def test_integer_inputs_need_a_sidecar_and_follow_it(tmp_path):
    """round(x / scale) + zero_point by hand, then the file's own multiplication; a preprocess is applied before."""
    nodes = [helper.make_node("Cast", ["x"], ["c"], to=TensorProto.FLOAT), helper.make_node("MatMul", ["c", "w"], ["y"])]
    path = save(tmp_path / "u8.onnx", nodes, (1, 2), TensorProto.UINT8, [("w", np.eye(2, dtype=np.float32))], (1, 2))
    with pytest.raises(ValueError, match=r"u8.json beside it must give input.scale"):
        runtimes.runtime("onnx").load(path)
    (tmp_path / "u8.json").write_text('{"input": {"scale": 0.5, "zero_point": 100}, "preprocess": {"scale": 2.0}}')
    x = np.array([[1.3, -60.0]], np.float32)
    assert runtimes.runtime("onnx").load(path).predict(x).tolist() == [[103.0, 0.0]]
    twice = runtimes.sidecar.prepared(runtimes.runtime("onnx").load(path), path)
    assert twice.predict(x).tolist() == [[105.0, 0.0]]


def test_a_process_that_dies_is_one_line(files):
    worker = Worker(Artifact(files / "good.onnx", "onnx", "fp32"), threads=1, limit_s=20)
    worker.ask()
    worker.process.kill()
    with pytest.raises(RuntimeError, match="killed by SIGKILL"):
        worker.ask(do="time", seconds=0.1)
    worker.close()


def test_memory_grows_with_the_weights(files, tmp_path):
    """24 MB of weights more than nothing; the runtime may hold them twice."""
    wide = RANDOM.standard_normal((32, 200_000)).astype(np.float32)
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["y"])]
    big = save(tmp_path / "big.onnx", nodes, (1, *SHAPE), weights=[("w", wide)], outputs=(1, 200_000))
    found = measure_files([Artifact(path, "onnx", "fp32") for path in (files / "good.onnx", big)], {}, seconds=0.01)
    grown = found[1].rss_bytes - found[0].rss_bytes
    assert wide.nbytes <= grown <= 3.5 * wide.nbytes


def timed(blocks, probes) -> Measured:
    return Measured(Artifact(Path("x"), "onnx", "fp32"), blocks_p50=list(blocks), blocks_p90=list(blocks), probes=list(probes))


def test_disturbed_blocks_are_found_by_the_probe_alone():
    """A slow block with a quiet probe stays; a block with a slow probe goes, in the latency and in the speed-up."""
    base = timed([1.0] * 12, [100.0] * 12)
    file = timed([2.0] * 8 + [5.0] * 2 + [4.0] * 2, [100.0] * 8 + [150.0] * 2 + [100.0] * 2)
    mark_quiet([base, file])
    assert file.quiet == [True] * 8 + [False] * 2 + [True] * 2
    assert figures.latency(file)["extra"]["disturbed"] == pytest.approx(2 / 12, abs=1e-3)
    ratio = figures.speed(file, base)["speedup"]
    assert figures.speed(timed([2.0] * 8 + [4.0] * 2, []), timed([1.0] * 10, []))["speedup"] == pytest.approx(ratio)


def test_a_machine_that_is_never_quiet_is_unstable():
    base, file = timed([1.0, 1.3] * 10, [100.0] + [200.0] * 19), timed([1.0, 1.3] * 10, [200.0] * 20)
    mark_quiet([base, file])
    assert figures.speed(file, base)["speed_verdict"] == "unstable"
    assert figures.latency(file)["extra"]["latency_unstable"]


def test_flags_say_what_was_not_kept():
    row = new_row(row_id="a", baseline_id="b", precision="int8-static", method="prune-l2+int8-static", speed_verdict="slower",
                  compression_ratio=0.9, extra={"portability": 0.95})  # fmt: skip
    assert flags.flags(row) == [flags.SLOWER, flags.NOT_FASTER, flags.NOT_SMALLER, flags.NOT_PORTABLE]
    kept = row | {"speed_verdict": "faster", "compression_ratio": 3.0, "extra": {"portability": 1.0}}
    assert flags.flags(kept) == []
    assert flags.flags(row | {"speed_verdict": "cannot tell", "compression_ratio": 3.0, "extra": {}}) == []
    sparse = row | {
        "precision": "fp32",
        "family": "sparsify",
        "method": "lottery-magnitude",
        "speed_verdict": "same",
        "extra": {},
    }
    assert flags.flags(sparse) == [flags.NOT_FASTER]
    assert flags.flags(sparse | {"family": "tuned", "method": "tuned"}) == []


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """An untrained conv1d of mnist1d in both runtimes: float, int8, and int8 of reduced range."""
    task, folder = load_task("mnist1d"), tmp_path_factory.mktemp("net")
    torch.manual_seed(0)
    model = build_model("conv1d", task.input_shape, task.n_outputs).eval()
    items = calibration_items(task, Quant(n_calibration=32))
    for name in ("onnx", "litert"):
        module = runtimes.runtime(name)
        floating = folder / f"float{module.EXTENSION}"
        with quiet():
            module.convert(model, task.x_train[:1], floating)
            module.quantize(floating, folder / f"int8{module.EXTENSION}", Quant(), items)
    with quiet():
        runtimes.runtime("onnx").quantize(folder / "float.onnx", folder / "reduced.onnx", Quant(reduce_range=True), items)
    return model, task, folder


@pytest.mark.parametrize(("name", "extension"), [("onnx", ".onnx"), ("litert", ".tflite")])
def test_the_files_hold_what_the_network_has(net, name, extension):
    """MACs and parameters of the exported graph equal PyTorch's; int8 is told from float."""
    model, task, folder = net
    for stem, precision in (("float", "fp32"), ("int8", "int8-static")):
        found = runtimes.runtime(name).inspect(folder / f"{stem}{extension}")
        assert found["macs"] == count_macs(model, task.input_shape)
        assert found["n_params"] == count_params(model)
        assert found["format"] == precision
        assert found["int8_nodes"] == (0 if stem == "float" else 1)
        assert bool(found["n_quantize"]) == (stem == "int8" and name == "onnx")


def test_layer_times_are_a_share_of_the_whole(net):
    found = runtimes.runtime("onnx").inspect(net[2] / "int8.onnx")
    assert found["int8_time"] + found["quantize_time"] == pytest.approx(1)
    assert len(found["layers"]) == found["n_nodes"]
    assert [layer["us"] for layer in found["layers"]] == sorted((layer["us"] for layer in found["layers"]), reverse=True)


def test_pairs_are_clipped_as_by_hand():
    """Two products of 255 x 127 make 64,770, of which 32,767 stay; loops over pairs agree with it for random numbers."""
    assert clipped_away(torch.tensor([[255.0], [255.0]]), torch.tensor([[127.0, 127.0]])).item() == 32767 - 64770
    x, w = torch.randint(0, 256, (7, 5)).float(), torch.randint(-127, 128, (4, 7)).float()
    for out in range(4):
        for item in range(5):
            products = [int(w[out, k] * x[k, item]) for k in range(7)] + [0]
            sums = [a + b for a, b in zip(products[::2], products[1::2])]
            change = sum(min(max(s, -32768), 32767) - s for s in sums)
            assert clipped_away(x, w)[out, item] == change
    assert not risky_pairs(torch.full((3, 8), 64.0)).any()


def test_reduced_range_answers_alike_everywhere(net):
    """No pair of 7-bit weights can be clipped; the full range can, and its emulation follows the file."""
    _, task, folder = net
    x = task.x_test.numpy()[:200]
    for stem in ("int8", "reduced"):
        answers = runtimes.runtime("onnx").load(folder / f"{stem}.onnx").predict(x).argmax(1)
        found = portability(folder / f"{stem}.onnx", x, answers)
        assert (found["saturable"] > 0) == (stem == "int8")
        assert 0.5 < found["portability"] <= 1
    assert found == {"portability": 1.0, "saturable": 0.0}
    assert portability(folder / "float.onnx", x, answers) == {}


def test_a_file_is_timed_in_several_processes(files, monkeypatch):
    """Two files, four processes each (more when disturbed), and all blocks are kept with the process that they ran in."""
    started = []
    real = session.Worker.__init__
    monkeypatch.setattr(session, "RESTART_S", 0.05)
    monkeypatch.setattr(session.Worker, "__init__", lambda self, *given: (started.append(given[0]), real(self, *given))[1])
    found = measure_files([Artifact(files / f"{name}.onnx", "onnx", "fp32") for name in ("good", "last")], {}, seconds=0.1)
    assert [one.error for one in found] == [None, None]
    assert sorted(set(found[0].process))[:4] == [0, 1, 2, 3]
    assert len(started) == 2 * len(set(found[0].process))
    assert found[0].process == found[1].process
    assert len(found[0].blocks_p50) == len(found[0].process) >= 10


def test_files_timed_together_are_compared_with_the_baseline_of_their_batch(files, tmp_path):
    def row(name, family, batch_size):
        return new_row(
            row_id=name, task="own", model="linear", seed=0, runtime="onnx", precision="fp32", family=family,
            batch_size=batch_size, artifact=str(files / f"{name}.onnx"),
        )  # fmt: skip

    lab = Lab("90_compare", "90_compare", tmp_path, {"measure_s": 0.1, "threads": 1}, None)
    rows = [row("good", "baseline", 1), row("worse", "prune", 1), row("batch", "baseline", 8)]
    one, other, eight = measure_together(lab, rows)
    assert other["baseline_id"] == one["row_id"]
    assert eight["baseline_id"] == eight["row_id"]
    assert other["speedup"] is not None
