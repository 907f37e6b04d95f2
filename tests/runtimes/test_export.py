"""Files: they answer like the network they came from, weigh what they weigh, and are made once."""

import copy
import shutil

import numpy as np
import pytest
import torch

from edgebook.errors import BadInput, Unsupported
from edgebook.models import allow_network, build_model
from edgebook.models.fake_quantized import prepare
from edgebook.models.macs import count_macs
from edgebook.paths import store_dir
from edgebook.runtimes.base import RUNTIMES, Artifact, Quant, check, runtime, runtime_of
from edgebook.runtimes.calibration import calibration_items
from edgebook.runtimes.export import export
from edgebook.runtimes.file_store import stored
from edgebook.training.loop import infer, seed_all

FILES = ("onnx", "litert")
QUANTS = (Quant("fp16"), Quant("int8-dynamic"), Quant("int8-static"), Quant("int8-static", granularity="tensor"))

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


@pytest.fixture
def odd_network(tmp_path, monkeypatch):
    """A user's network that calls a PyTorch function which few converters have."""
    monkeypatch.setenv("EDGEBOOK_NETWORKS", "")

    def build(function):
        (tmp_path / "odd.py").write_text(ODD.replace("FUNCTION", function))
        allow_network(f"{tmp_path}/odd.py:odd")
        return build_model(f"{tmp_path}/odd.py:odd", (1, 40), 10)

    return build


def same_class(a, b):
    return (a.argmax(1) == b.argmax(1)).mean()


@pytest.mark.parametrize("name", [*FILES, "torch", "executorch"])
def test_a_float_file_gives_its_networks_outputs(name, files, net, mnist1d, predict):
    np.testing.assert_allclose(predict(files[name, "fp32"], mnist1d.x_test), infer(net, mnist1d.x_test).numpy(), atol=1e-3)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("quant", QUANTS, ids=lambda quant: f"{quant.precision}-{quant.granularity}")
def test_a_quantized_file_is_smaller_and_keeps_nearly_all_predictions(name, quant, files, net, mnist1d, tmp_path, predict):
    made = export(net, mnist1d, tmp_path / "q", runtime=name, quant=quant)
    assert made.precision == quant.precision
    assert made.size_bytes < 0.8 * files[name, "fp32"].size_bytes
    assert same_class(predict(made, mnist1d.x_test[:300]), infer(net, mnist1d.x_test[:300]).numpy()) > 0.9


def test_executorch_int8_keeps_nearly_all_predictions(files, net, mnist1d, predict):
    int8 = files["executorch", "int8-static"]
    assert same_class(predict(int8, mnist1d.x_test[:300]), infer(net, mnist1d.x_test[:300]).numpy()) > 0.9
    assert int8.size_bytes < files["executorch", "fp32"].size_bytes


def test_a_network_that_was_trained_quantized_exports_its_integers(net, mnist1d, tmp_path, predict):
    prepared = prepare(net).train()
    prepared(mnist1d.x_train[:200])
    prepared.freeze()
    rounded = infer(prepared.eval(), mnist1d.x_test[:200]).numpy()
    for name in FILES:
        made = export(prepared, mnist1d, tmp_path / name, runtime=name)
        assert made.precision == "int8-static"
        assert runtime(name).side("inspect").inspect(made.path)["format"] == "int8-static"
        assert same_class(predict(made, mnist1d.x_test[:200]), rounded) >= 0.98


def test_bf16_weights_are_pytorchs_and_half_as_large(files, net, mnist1d, tmp_path, predict):
    made = export(net, mnist1d, tmp_path / "q", runtime="onnx", quant=Quant("bf16"))
    assert made.size_bytes < 0.8 * files["onnx", "fp32"].size_bytes
    assert runtime("onnx").side("inspect").inspect(made.path)["format"] == "bf16"
    rounded = copy.deepcopy(net)
    for parameter in rounded.parameters():
        parameter.data = parameter.data.bfloat16().float() if parameter.ndim > 1 else parameter.data
    np.testing.assert_allclose(predict(made, mnist1d.x_test[:200]), infer(rounded, mnist1d.x_test[:200]).numpy(), atol=1e-4)


@pytest.mark.parametrize("name", FILES)
def test_the_same_seed_gives_the_same_file_and_no_network_is_converted_twice(name, files, net, mnist1d, tmp_path, monkeypatch):
    before = set((store_dir() / "files").iterdir())
    first = export(net, mnist1d, tmp_path / "a", runtime=name, quant=Quant(n_calibration=8))
    (made,) = set((store_dir() / "files").iterdir()) - before
    shutil.rmtree(made)
    monkeypatch.setattr(runtime(name).side("export"), "convert", lambda *_: pytest.fail("the float file was there already"))
    again = export(net, mnist1d, tmp_path / "b", runtime=name, quant=Quant(n_calibration=8))
    other = export(net, mnist1d, tmp_path / "c", runtime=name, quant=Quant(n_calibration=8, seed=5))
    assert first.path.read_bytes() == again.path.read_bytes() != other.path.read_bytes()


def test_a_damaged_file_in_the_store_is_made_again(net, mnist1d, tmp_path, capfd):
    before = set((store_dir() / "files").iterdir())
    quant = Quant(n_calibration=4, seed=77)
    first = export(net, mnist1d, tmp_path / "a", runtime="onnx", quant=quant)
    (folder,) = set((store_dir() / "files").iterdir()) - before
    (folder / "model.onnx").write_bytes(b"cut")
    again = export(net, mnist1d, tmp_path / "b", runtime="onnx", quant=quant)
    assert again.path.read_bytes() == first.path.read_bytes()
    assert f"{folder} is damaged: made again" in capfd.readouterr().err


def test_a_failed_export_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEBOOK_STORE", str(tmp_path))

    def fails(folder):
        (folder / "model.onnx").write_bytes(b"half")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        stored("key", fails)
    assert list((tmp_path / "files").iterdir()) == []


def test_the_columns_say_what_was_known_when_the_file_was_made(files, net, mnist1d):
    macs = count_macs(net, mnist1d.input_shape)
    assert {artifact.columns["macs"] for artifact in files.values()} == {macs}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_several_items_per_call_gives_the_same(name, net, mnist1d, tmp_path):
    x = mnist1d.x_test[:21]  # no multiple of 8
    made = export(net, mnist1d, tmp_path / "eight", runtime=name, batch_size=8)
    program = runtime(name).side("load").load(made.path)
    assert program.batch == 8
    np.testing.assert_allclose(program.predict(x.numpy()), infer(net, x).numpy(), atol=1e-4)


def test_calibration_items_are_training_items_only(mnist1d):
    items = calibration_items(mnist1d, Quant(n_calibration=64, seed=1))
    training = {x.numpy().tobytes() for x in mnist1d.x_train}
    held_out = {x.numpy().tobytes() for x in torch.cat([mnist1d.x_val, mnist1d.x_test])}
    assert len(items) == 64
    assert all(item.tobytes() in training and item.tobytes() not in held_out for item in items)
    assert np.array_equal(items, calibration_items(mnist1d, Quant(n_calibration=64, seed=1)))
    with pytest.raises(BadInput, match="n_calibration = 0; allowed: 1 or more"):
        calibration_items(mnist1d, Quant(n_calibration=0))


def test_a_size_counts_everything_the_file_needs(files, tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"12345")
    (tmp_path / "net.onnx.data").write_bytes(b"1234567")
    assert Artifact(path, "onnx", "fp32").size_bytes == 12
    onnx = files["onnx", "fp32"]
    assert onnx.size_bytes == onnx.path.stat().st_size


def test_what_a_runtime_cannot_do_has_a_code_and_one_line(net, mnist1d, tmp_path):
    qat = prepare(net)
    cases = [
        (net, "torch", {"quant": Quant()}, "precision", "torch has no int8-static; it has fp32"),
        (net, "onnx", {"quant": Quant("int16x8")}, "precision", "onnx has no int16x8; it has fp32"),
        (net, "litert", {"quant": Quant(reduce_range=True)}, "algorithm", "reduce_range False for int8-static, not True"),
        (net, "litert", {"quant": Quant(), "batch_size": 8}, "batch", "8 items per call are for float files of onnx, litert"),
        (net, "executorch", {"batch_size": 8}, "batch", "8 items per call"),
        (qat, "onnx", {"quant": Quant()}, "structure", "has its integers"),
        (qat, "packed", {}, "precision", "packed has no int8-static"),
    ]
    for model, name, settings, code, says in cases:
        with pytest.raises(Unsupported, match=says) as caught:
            export(model, mnist1d, tmp_path / "x", runtime=name, **settings)
        assert caught.value.code == code
        assert "\n" not in str(caught.value)


def test_an_absent_library_has_its_own_code(monkeypatch):
    monkeypatch.setattr("edgebook.runtimes.base.missing", lambda name: "tflite-micro is not installed")
    with pytest.raises(Unsupported, match="tflm: tflite-micro is not installed") as caught:
        check("tflm", "fp32")
    assert caught.value.code == "library"


def test_an_unknown_runtime_or_extension_is_bad_input(net, mnist1d, tmp_path):
    with pytest.raises(BadInput, match=r"runtime 'tensorrt' is unknown; known: .*litert.*onnx"):
        export(net, mnist1d, tmp_path / "x", runtime="tensorrt")
    with pytest.raises(BadInput, match=r"extension '.h5' is unknown; allowed: .*\.onnx, .*\.tflite"):
        runtime_of(tmp_path / "x.h5")
    with pytest.raises(BadInput, match=r"extension '\.c' is unknown"):  # it would be compiled and run
        runtime_of(tmp_path / "x.c")
    owners = [record for record in RUNTIMES.values() if record.owns_extension]
    assert all(runtime_of(tmp_path / f"x{record.extension}") == record.name for record in owners)


@pytest.mark.parametrize("name", FILES)
def test_a_broken_file_is_one_clear_line(name, files, tmp_path):
    whole = files[name, "fp32"].path
    (tmp_path / whole.name).write_bytes(whole.read_bytes()[:200])
    with pytest.raises(BadInput, match="cannot load it") as caught:
        runtime(name).side("load").load(tmp_path / whole.name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_networks_with_channels_last_weights_do_not_get_mixed_up(name, digits, tmp_path, predict):
    for seed in range(3):  # one after the other in this process, as a sweep does
        seed_all(seed)
        model = build_model("resnet8", digits.input_shape, digits.n_outputs, widths=(8, 16, 16)).eval()
        model.to(memory_format=torch.channels_last)
        made = export(model, digits, tmp_path / f"{seed}", runtime=name)
        assert same_class(predict(made, digits.x_test[:100]), infer(model, digits.x_test[:100]).numpy()) >= 0.99


@pytest.mark.parametrize("name", ["litert", "onnx"])
def test_an_operator_that_no_converter_has_is_named(name, mnist1d, tmp_path, odd_network):
    with pytest.raises(Unsupported, match=r"has no operator (aten|prims)\..*bessel_j0") as caught:
        export(odd_network("special.bessel_j0"), mnist1d, tmp_path / "odd", runtime=name)
    assert caught.value.code == "operator"


def test_a_failing_exporter_gives_its_innermost_cause_in_one_line(net, mnist1d, tmp_path, monkeypatch):
    def convert(model, example, path):
        try:
            raise KeyError("no kernel for this shape\nand a page of advice")
        except KeyError as cause:
            raise RuntimeError("step 1 of 3 failed:\nNext steps: ...") from cause

    monkeypatch.setattr(runtime("onnx").side("export"), "convert", convert)
    with pytest.raises(RuntimeError, match=r"onnx: KeyError: .*no kernel for this shape") as caught:
        export(net, mnist1d, tmp_path / "x", runtime="onnx", batch_size=3)
    assert "\n" not in str(caught.value)


def test_accelerator_names_what_falls_back_to_the_cpu(mnist1d, tmp_path, odd_network):
    quant = Quant(n_calibration=32)
    extra = export(odd_network("erf"), mnist1d, tmp_path / "odd", runtime="vela", quant=quant).columns["extra"]
    assert extra["cpu_operators"] >= len(extra["on_the_cpu"]) > 0
