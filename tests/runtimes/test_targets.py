"""Every target: files without ballast, microcontroller, accelerator, ExecuTorch, fusion, streaming, boards."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from edgebook import devices, rows, runtimes
from edgebook.compress.fuse import fuse
from edgebook.errors import BadInput, Unsupported
from edgebook.measure import session
from edgebook.measure.session import measure_files
from edgebook.models import build_model
from edgebook.models.batch_norm import foldable
from edgebook.models.streaming import stream
from edgebook.runtimes import Quant, litert, streaming, tflite_file
from edgebook.training.loop import infer, train
from edgebook.training.store import load, save

INT8 = Quant("int8-static", n_calibration=32)


@pytest.fixture(scope="module")
def files(net, mnist1d, tmp_path_factory):
    """conv1d's files by (runtime, precision)."""
    folder = tmp_path_factory.mktemp("files")
    wanted = [("litert", None), ("litert", INT8), ("tflm", INT8), ("vela", INT8), ("executorch", None), ("executorch", INT8)]
    made = [runtimes.export(net, mnist1d, folder / f"{name}-{bool(quant)}", runtime=name, quant=quant) for name, quant in wanted]
    return {(artifact.runtime, artifact.precision): artifact for artifact in made}


def predict(artifact, x):
    return runtimes.runtime(artifact.runtime).load(artifact.path).predict(x.numpy())


def test_stripped_file_is_smaller_and_says_by_how_much(files):
    artifact = files["litert", "int8-static"]
    assert artifact.facts["extra"]["stripped"] is True
    assert artifact.size_bytes < 0.75 * artifact.facts["extra"]["size_unstripped_bytes"]
    assert b"serving_default" not in artifact.path.read_bytes()


def test_stripping_twice_changes_nothing_more(files):
    data = files["litert", "fp32"].path.read_bytes()
    assert len(tflite_file.strip(data)) == len(data)


def test_weights_that_lie_behind_the_flatbuffer_come_inside(mnist1d, tmp_path):
    """What ai-edge-quantizer writes for a net of a megabyte: stripped as if the weights were gone, it would not run."""
    from ai_edge_litert import schema_py_generated as schema

    big = build_model("mlp", mnist1d.input_shape, mnist1d.n_outputs, hidden=(600, 600)).eval().requires_grad_(False)
    floating, whole, slim = (tmp_path / f"{name}.tflite" for name in ("float", "whole", "slim"))
    litert.convert(big, mnist1d.x_train[:1], floating)
    litert.quantize(floating, whole, Quant("int8-static"), mnist1d.x_train[:8].numpy())
    slim.write_bytes(tflite_file.strip(whole.read_bytes()))
    outside, inside = ([buffer.offset for buffer in schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0).buffers]
                       for path in (whole, slim))  # fmt: skip
    assert max(outside) > 1, "the quantizer kept them inside: test with a larger net"
    assert max(inside) == 0
    x = mnist1d.x_test[:20].numpy()
    np.testing.assert_array_equal(litert.load(slim).predict(x), litert.load(whole).predict(x))


def test_weights_stay_aligned(files):
    from ai_edge_litert import schema_py_generated as schema

    data = files["litert", "int8-static"].path.read_bytes()
    model = schema.Model.GetRootAs(data, 0)
    buffers = [model.Buffers(i) for i in range(model.BuffersLength())]
    places = [b.DataAsNumpy().ctypes.data - np.frombuffer(data, np.uint8).ctypes.data for b in buffers if b.DataLength()]
    assert len(places) > 5
    assert all(place % tflite_file.ALIGNMENT == 0 for place in places)


def test_peak_layer_is_counted_as_by_hand(tmp_path):
    # 4 -> 8 -> 2 in float: the first layer holds 4 + 8 values, the second 8 + 2
    net = build_model("mlp", (4,), 2, hidden=[8])
    litert.convert(net.eval(), torch.zeros(1, 4), tmp_path / "mlp.tflite")
    peak = tflite_file.peak_layer((tmp_path / "mlp.tflite").read_bytes())
    assert (peak["operator"], peak["bytes"]) == ("FULLY_CONNECTED", 4 * (4 + 8))


def test_microcontroller_kernels_give_the_reference_kernels_answers(files, mnist1d):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    path = files["litert", "int8-static"].path
    reference = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    reference.allocate_tensors()
    (source,), (sink,) = reference.get_input_details(), reference.get_output_details()
    x, wanted = mnist1d.x_test[:200], []
    for item in x.numpy():
        reference.set_tensor(source["index"], streaming.to_stored(item[None], source))
        reference.invoke()
        wanted.append(streaming.to_real(reference.get_tensor(sink["index"]), sink))
    found = predict(files["tflm", "int8-static"], x)
    steps = np.abs(found - np.concatenate(wanted)) / sink["quantization"][0]
    assert (steps < 1.01).mean() >= 0.99


def test_microcontroller_says_its_arena_and_no_latency(files, mnist1d):
    artifact = files["tflm", "int8-static"]
    assert artifact.facts["extra"]["peak_layer"]["bytes"] < artifact.facts["arena_bytes"] < 20_000
    (measured,) = measure_files([artifact], {"test": mnist1d.x_test[:20].numpy()}, seconds=0.05)
    assert measured.error is None
    assert measured.outputs["test"].shape == (20, 10)
    assert (measured.blocks_p50, measured.rss_bytes) == ([], None)


def test_microcontroller_names_the_operator_that_it_lacks(mnist1d, tmp_path):
    short = dataclasses.replace(mnist1d, x_train=mnist1d.x_train[:, :, :12])  # 12 steps joined: TFLM takes 10 inputs
    net = build_model("gru", (1, 12), 10, hidden=4)
    with pytest.raises(Unsupported, match="CONCATENATION"):
        runtimes.export(net, short, tmp_path / "gru", runtime="tflm")


ODD = """
import torch


class Odd(torch.nn.Module):
    def __init__(self, n_outputs):
        super().__init__()
        self.first, self.linear = torch.nn.Linear(40, 40), torch.nn.Linear(40, n_outputs)

    def forward(self, x):
        return self.linear(torch.FUNCTION(self.first(x.flatten(1))))


def odd(input_shape, n_outputs):
    return Odd(n_outputs)
"""


@pytest.mark.parametrize("name", ["litert", "onnx"])
def test_operator_that_no_converter_has_is_named(name, mnist1d, tmp_path):
    (tmp_path / "odd.py").write_text(ODD.replace("FUNCTION", "special.bessel_j0"))
    net = build_model(f"{tmp_path}/odd.py:odd", (1, 40), 10)
    with pytest.raises(Unsupported, match=r"has no operator (aten|prims)\..*bessel_j0"):
        runtimes.export(net, mnist1d, tmp_path / "odd", runtime=name)


def test_accelerator_names_what_falls_back_to_the_cpu(mnist1d, tmp_path):
    (tmp_path / "odd.py").write_text(ODD.replace("FUNCTION", "erf"))
    net = build_model(f"{tmp_path}/odd.py:odd", (1, 40), 10)
    extra = runtimes.export(net, mnist1d, tmp_path / "odd", runtime="vela", quant=INT8).facts["extra"]
    assert extra["cpu_operators"] >= len(extra["on_the_cpu"]) > 0


def test_accelerator_takes_every_operator(files, mnist1d):
    facts = files["vela", "int8-static"].facts
    assert facts["device"] == "ethos-u55-128"
    assert (facts["extra"]["cpu_operators"], facts["extra"]["npu_operators"] > 0) == (0, True)
    assert facts["arena_bytes"] >= facts["extra"]["peak_layer"]["bytes"]
    assert facts["latency_ms_est"] == pytest.approx(facts["extra"]["cycles"] / 500e3, rel=0.01)  # at 500 MHz
    x = mnist1d.x_test[:50]
    assert np.array_equal(predict(files["vela", "int8-static"], x), predict(files["litert", "int8-static"], x))


def test_the_answers_of_one_file_are_asked_for_once(files, mnist1d, monkeypatch):
    asked, score = [], session._score
    monkeypatch.setattr(
        session, "_score", lambda w, result, *rest: asked.append(result.artifact.runtime) or score(w, result, *rest)
    )
    three = [files["litert", "int8-static"], files["tflm", "int8-static"], files["vela", "int8-static"]]
    ours, _, compiled = measure_files(three, {"test": mnist1d.x_test[:50].numpy()}, seconds=0.05)
    assert sorted(asked) == ["litert", "tflm"]
    assert np.array_equal(compiled.outputs["test"], ours.outputs["test"])
    assert not compiled.blocks_p50


def test_executorch_answers_like_eager(files, net, mnist1d):
    x = mnist1d.x_test[:300]
    eager = infer(net, x).numpy()
    assert predict(files["executorch", "fp32"], x) == pytest.approx(eager, abs=1e-4)
    int8 = files["executorch", "int8-static"]
    assert (predict(int8, x).argmax(1) == eager.argmax(1)).mean() > 0.9
    assert int8.size_bytes < files["executorch", "fp32"].size_bytes


@pytest.mark.parametrize("model", ["resnet8", "mobilenet_v2", "ds_cnn"])
def test_folding_changes_nothing_but_the_layers(model, tmp_path):
    torch.manual_seed(0)
    net = build_model(model, (1, 16, 16), 10, **({"width": 0.25} if model == "mobilenet_v2" else {})).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # as after training: neither zero nor one
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 2)
            module.bias.data.uniform_(-1, 1)
    x, before = torch.randn(4, 1, 16, 16), repr(net)
    folded = fuse(net, None)
    with torch.inference_mode():
        scale = net(x).abs().max()
        assert (folded(x) - net(x)).abs().max() < 1e-4 * scale
    assert repr(net) == before
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    save(folded, tmp_path / "folded.pt")
    assert torch.equal(load(tmp_path / "folded.pt")(x), folded(x))


def test_folding_leaves_alone_what_others_read():
    class Shared(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = torch.nn.Conv2d(1, 1, 3), torch.nn.BatchNorm2d(1)

        def forward(self, x):
            y = self.conv(x)
            return self.norm(y) + y

    assert foldable(Shared().eval()) == []


def test_nothing_to_fold_is_unsupported(net):
    with pytest.raises(Unsupported, match="no batch norm"):
        fuse(net, None)


@pytest.mark.parametrize(("kind", "n_layers"), [("gru", 1), ("lstm", 2)])
def test_steps_compute_what_the_whole_sequence_does(kind, n_layers, mnist1d):
    torch.manual_seed(0)
    net = build_model(kind, (1, 40), 10, hidden=8, directions=1, head="last", n_layers=n_layers).eval()
    x = mnist1d.x_test[:16]
    with torch.inference_mode():
        assert torch.allclose(stream(net, mnist1d)(x), net(x), atol=1e-5)


def test_one_step_file_carries_its_state(mnist1d, tmp_path):
    torch.manual_seed(0)
    net = build_model("lstm", (1, 40), 10, hidden=8, directions=1, head="last")
    net = train(net, mnist1d, epochs=2, batch_size=100, device="cpu")
    steps, x = stream(net, mnist1d), mnist1d.x_test[:100]
    eager = infer(net, x).numpy()
    plain = runtimes.export(steps, mnist1d, tmp_path / "float", runtime="litert")
    assert predict(plain, x) == pytest.approx(eager, abs=1e-3)
    again = predict(plain, x.flip(0))[::-1]
    assert again == pytest.approx(predict(plain, x))  # every item starts from a zero state
    int8 = runtimes.export(steps, mnist1d, tmp_path / "int8", runtime="tflm", quant=INT8)
    assert np.abs(predict(int8, x) - eager).mean() < 0.1 * eager.std()
    words = streaming.sidecar(int8.path)
    assert [state["name"] for state in words["states"]] == ["h0", "c0"]
    with pytest.raises(Unsupported, match="litert, tflm, vela"):
        runtimes.export(steps, mnist1d, tmp_path / "onnx", runtime="onnx")


def test_what_cannot_stream_is_unsupported(net, mnist1d):
    with pytest.raises(Unsupported, match="head=last"):
        stream(build_model("gru", (1, 40), 10), mnist1d)


def row(**values):
    known = {"runtime": "tflm", "precision": "int8-static", "size_bytes": 90_000, "arena_bytes": 50_000, "label": "net"}
    return rows.new_row(**{**known, "score": 0.9, "val_score": 0.9, "metric": "accuracy", **values})


def test_fit_is_the_board_less_the_file():
    board = devices.device("stm32f746")
    found = devices.fit(row(), board)
    assert found["fits"] is True
    assert found["margins"] == {"flash_bytes": 1_048_576 - 90_000, "ram_bytes": 327_680 - 50_000}
    large = devices.fit(row(arena_bytes=327_681), board)
    assert (large["fits"], large["margins"]["ram_bytes"], large["why"]) == (False, -1, "too much ram")
    assert devices.fit(row(runtime="onnx"), board)["fits"] is None


def test_latency_counts_only_where_it_is_the_boards():
    board, accelerator = devices.device("rp2040"), devices.device("corstone-300-u55-128")
    assert devices.fit(row(latency_ms_p50=9.0), board, latency_budget_ms=1.0)["fits"] is True
    npu = row(runtime="vela", device="ethos-u55-128", latency_ms_est=2.0)
    assert devices.fit(npu, accelerator, latency_budget_ms=1.0)["why"] == "too much latency"
    assert devices.fit(row(runtime="vela", device="ethos-u65-256"), accelerator)["fits"] is None


def test_board_without_figures_is_refused_by_name(tmp_path):
    file = tmp_path / "devices.yaml"
    file.write_text("my-board: {runtimes: [tflm], flash_bytes: 1000, source: a}\n")
    with pytest.raises(BadInput, match="my-board lacks ram_bytes"):
        devices.load_devices(file)
    file.write_text("my-board: {runtimes: [tflm], flash_bytes: 1000, ram_bytes: 1 MB, source: a}\n")
    with pytest.raises(BadInput, match="my-board: ram_bytes = '1 MB'"):
        devices.load_devices(file)


def test_every_board_has_a_source_and_runs_something_known():
    for board in devices.load_devices().values():
        assert len(board.source) > 10
        assert set(board.runtimes) <= set(runtimes.RUNTIMES)
