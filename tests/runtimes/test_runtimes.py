"""Files: they answer like the network they came from, weigh what they weigh, and integer files come from the float file."""

import copy
import shutil

import numpy as np
import pytest
import torch

from edgebook import runtimes
from edgebook.errors import BadInput, Unsupported
from edgebook.models import build_model
from edgebook.paths import store_dir
from edgebook.runtimes import Quant, files
from edgebook.training.loop import infer, seed_all

FILES = ("onnx", "litert")
QUANTS = (Quant("fp16"), Quant("int8-dynamic"), Quant("int8-static"), Quant("int8-static", granularity="tensor"))


@pytest.fixture(scope="module")
def floats(net, mnist1d, tmp_path_factory):
    """The float file of every runtime."""
    folder = tmp_path_factory.mktemp("floats")
    return {
        name: runtimes.export(net, mnist1d, folder / name, runtime=name)
        for name in runtimes.RUNTIMES
        if name in (*FILES, "torch")
    }


def answers(artifact, x):
    return runtimes.runtime(artifact.runtime).load(artifact.path).predict(x.numpy()).argmax(1)


@pytest.mark.parametrize("name", [*FILES, "torch"])
def test_a_float_file_answers_like_its_network(name, floats, net, mnist1d):
    wanted = infer(net, mnist1d.x_test).argmax(1).numpy()
    assert (answers(floats[name], mnist1d.x_test) == wanted).mean() >= 0.999


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("quant", QUANTS, ids=lambda quant: f"{quant.precision}-{quant.granularity}")
def test_a_quantized_file_is_smaller_and_keeps_nearly_all_answers(name, quant, floats, net, mnist1d, tmp_path):
    made = runtimes.export(net, mnist1d, tmp_path / "q", runtime=name, quant=quant)
    assert made.precision == quant.precision
    assert made.size_bytes < 0.8 * floats[name].size_bytes
    wanted = infer(net, mnist1d.x_test[:300]).argmax(1).numpy()
    assert (answers(made, mnist1d.x_test[:300]) == wanted).mean() > 0.9


def test_bf16_weights_are_pytorchs_and_half_as_large(floats, net, mnist1d, tmp_path):
    made = runtimes.export(net, mnist1d, tmp_path / "q", runtime="onnx", quant=Quant("bf16"))
    assert made.size_bytes < 0.8 * floats["onnx"].size_bytes
    assert runtimes.runtime("onnx").inspect(made.path)["format"] == "bf16"
    rounded = copy.deepcopy(net)
    for parameter in rounded.parameters():
        parameter.data = parameter.data.bfloat16().float() if parameter.ndim > 1 else parameter.data
    found = runtimes.runtime("onnx").load(made.path).predict(mnist1d.x_test[:200].numpy())
    assert np.allclose(found, infer(rounded, mnist1d.x_test[:200]).numpy(), atol=1e-4)


@pytest.mark.parametrize("name", FILES)
def test_the_same_seed_gives_the_same_file_and_no_model_is_converted_twice(name, floats, net, mnist1d, tmp_path, monkeypatch):
    before = set((store_dir() / "files").iterdir())
    first = runtimes.export(net, mnist1d, tmp_path / "a", runtime=name, quant=Quant(n_calibration=8))
    (made,) = set((store_dir() / "files").iterdir()) - before
    shutil.rmtree(made)
    monkeypatch.setattr(runtimes.runtime(name), "convert", lambda *_: pytest.fail("the float file was there already"))
    again = runtimes.export(net, mnist1d, tmp_path / "b", runtime=name, quant=Quant(n_calibration=8))
    other = runtimes.export(net, mnist1d, tmp_path / "c", runtime=name, quant=Quant(n_calibration=8, seed=5))
    assert first.path.read_bytes() == again.path.read_bytes() != other.path.read_bytes()


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_several_items_a_call_answers_the_same(name, net, mnist1d, tmp_path):
    x = mnist1d.x_test[:21]  # no multiple of 8
    made = runtimes.export(net, mnist1d, tmp_path / "eight", runtime=name, batch_size=8)
    program = runtimes.runtime(name).load(made.path)
    assert program.batch == 8
    np.testing.assert_allclose(program.predict(x.numpy()), infer(net, x).numpy(), atol=1e-4)
    with pytest.raises(Unsupported, match="8 items a call are for float files of onnx, litert"):
        runtimes.export(net, mnist1d, tmp_path / "no", runtime=name, quant=Quant(), batch_size=8)


def test_calibration_items_are_training_items_only(mnist1d):
    items = files.calibration_items(mnist1d, Quant(n_calibration=64, seed=1))
    known = {x.numpy().tobytes() for x in mnist1d.x_train}
    held_out = {x.numpy().tobytes() for x in torch.cat([mnist1d.x_val, mnist1d.x_test])}
    assert len(items) == 64
    assert all(item.tobytes() in known and item.tobytes() not in held_out for item in items)
    with pytest.raises(BadInput, match="at least 1 item"):
        files.calibration_items(mnist1d, Quant(n_calibration=0))


def test_a_size_counts_everything_the_file_needs(floats, tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"12345")
    (tmp_path / "net.onnx.data").write_bytes(b"1234567")
    assert runtimes.Artifact(path, "onnx", "fp32").size_bytes == 12
    assert floats["onnx"].size_bytes == floats["onnx"].path.stat().st_size


def test_what_a_runtime_cannot_do_is_said_with_what_it_can(net, mnist1d, tmp_path):
    with pytest.raises(Unsupported, match="torch has no int8-static; it has fp32"):
        runtimes.export(net, mnist1d, tmp_path / "x", runtime="torch", quant=Quant())
    with pytest.raises(BadInput, match=r"runtime 'tensorrt' is unknown; known: .*litert.*onnx"):
        runtimes.export(net, mnist1d, tmp_path / "x", runtime="tensorrt")
    with pytest.raises(BadInput, match=r"extension '.h5' is unknown; allowed: .*\.onnx, .*\.tflite"):
        runtimes.runtime_of(tmp_path / "x.h5")


@pytest.mark.parametrize("name", FILES)
def test_a_broken_file_is_one_clear_line(name, floats, tmp_path):
    broken = tmp_path / floats[name].path.name
    broken.write_bytes(floats[name].path.read_bytes()[:200])
    with pytest.raises(BadInput, match="cannot load it"):
        runtimes.runtime(name).load(broken)


def test_the_files_own_scales_are_used():
    from edgebook.runtimes.litert import to_real, to_stored

    detail = {"quantization": (0.1, -3), "dtype": np.int8}
    x = np.array([-1.0, 0.0, 0.5, 100.0], np.float32)
    assert to_stored(x, detail).tolist() == [-13, -3, 2, 127]
    assert np.allclose(to_real(to_stored(x[:3], detail), detail), x[:3], atol=0.05)


@pytest.mark.parametrize("name", FILES)
def test_nets_with_channels_last_weights_do_not_get_mixed_up(name, digits, tmp_path):
    for seed in range(3):  # one after the other in this process, as a sweep does
        seed_all(seed)
        model = build_model("resnet8", digits.input_shape, digits.n_outputs, widths=(8, 16, 16)).eval()
        model.to(memory_format=torch.channels_last)
        made = runtimes.export(model, digits, tmp_path / f"{seed}", runtime=name)
        wanted = infer(model, digits.x_test[:100]).argmax(1).numpy()
        assert (answers(made, digits.x_test[:100]) == wanted).mean() >= 0.99
