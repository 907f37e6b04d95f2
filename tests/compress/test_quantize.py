"""Linear quantization: the formulas against PyTorch's, and what each runtime's files do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgebook import affine
from edgebook.compress.quantize import diagnose as guard
from edgebook.errors import BadInput, Unsupported
from edgebook.runtimes import Quant, check, export, files, ranges, runtime
from edgebook.runtimes.quiet import quiet
from edgebook.tasks import load_task
from edgebook.training.loop import infer, seed_all, train

RUNTIMES = ("onnx", "litert")


@pytest.fixture(scope="module", autouse=True)
def own_store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEBOOK_STORE", str(tmp_path_factory.mktemp("store")))
        yield


@pytest.fixture(scope="module")
def task():
    return load_task("mnist1d")


@pytest.fixture(scope="module")
def net(task):
    from edgebook.models import build_model

    seed_all(0)
    return train(build_model("conv1d", task.input_shape, task.n_outputs), task, epochs=8, lr=0.01)


def predict(net, task, folder, name, quant=None):
    artifact = export(net, task, folder / "file", runtime=name, quant=quant)
    with quiet():
        return artifact, runtime(name).load(artifact.path).predict(task.x_test.numpy())


def test_affine_matches_pytorch():
    x = torch.randn(500, generator=torch.Generator().manual_seed(0))
    scale, zero = affine.qparams(*affine.ranges(x), bits=8, symmetric=False)
    ours = affine.quantize(x, scale, zero, bits=8, symmetric=False)
    theirs = torch.quantize_per_tensor(x, scale.item(), zero.item(), torch.qint8)
    assert torch.equal(ours, theirs.int_repr().int())
    assert torch.allclose(affine.dequantize(ours, scale, zero), theirs.dequantize())


def test_affine_per_channel_matches_fake_quantize():
    w = torch.randn(6, 3, 3, generator=torch.Generator().manual_seed(1))
    scale, zero = affine.qparams(*affine.ranges(w, axis=0), bits=4, symmetric=True)
    theirs = torch.fake_quantize_per_channel_affine(w, scale, zero, 0, -7, 7)
    assert torch.allclose(affine.round_trip(w, bits=4, axis=0), theirs)


@pytest.mark.parametrize("symmetric", [True, False])
def test_rounding_error_is_at_most_half_a_step_and_falls_with_bits(symmetric):
    w, last = torch.randn(40, 20, generator=torch.Generator().manual_seed(2)), float("inf")
    for bits in range(2, 13):
        scale, _ = affine.qparams(*affine.ranges(w), bits=bits, symmetric=symmetric)
        error = affine.round_trip(w, bits=bits, symmetric=symmetric) - w
        assert error.abs().max() <= scale / 2 * 1.01  # asymmetric zero points are rounded too
        assert error.square().mean() < last
        last = error.square().mean()
    assert torch.equal(affine.round_trip(w, bits=32), w)


def test_affine_refuses_what_it_cannot_round():
    with pytest.raises(BadInput, match="bits = 1"):
        affine.limits(1, symmetric=True)
    with pytest.raises(BadInput, match="NaN"):
        affine.round_trip(torch.tensor([1.0, float("nan")]), bits=8)
    assert torch.equal(affine.round_trip(torch.zeros(5), bits=4), torch.zeros(5))  # a constant layer


def test_ranges_hold_zero_and_clip_only_a_tail():
    values = np.random.default_rng(0).standard_normal(100_000)
    values[0] = 40.0
    counts, edges = np.histogram(values, ranges.N_BINS)
    for algorithm in ranges.ALGORITHMS:
        low, high = ranges.choose(counts, edges, algorithm)
        assert low < 0 < high < 40, algorithm
    counts, edges = np.histogram(np.abs(values[1:]), ranges.N_BINS)
    assert ranges.choose(counts, edges, "mse")[0] == 0.0
    with pytest.raises(BadInput, match="empty"):
        ranges.choose(np.zeros(4), np.arange(5.0), "mse")


@pytest.mark.parametrize("name", RUNTIMES)
def test_every_format_keeps_most_answers(net, task, tmp_path, name):
    whole = infer(net, task.x_test).numpy().argmax(1)
    base = export(net, task, tmp_path / "float", runtime=name).size_bytes
    for precision in runtime(name).PRECISIONS[1:]:
        artifact, outputs = predict(net, task, tmp_path, name, Quant(precision, n_calibration=64))
        bound = 0.8 if precision.startswith("int4") else 0.9
        assert (outputs.argmax(1) == whole).mean() >= bound, precision
        assert artifact.size_bytes < base, precision


@pytest.mark.parametrize("name", RUNTIMES)
@pytest.mark.parametrize("algorithm", ranges.ALGORITHMS)
def test_every_range_rule_keeps_most_answers(net, task, tmp_path, name, algorithm):
    whole = infer(net, task.x_test).numpy().argmax(1)
    _, outputs = predict(net, task, tmp_path, name, Quant(algorithm=algorithm, n_calibration=32))
    assert (outputs.argmax(1) == whole).mean() >= (0.6 if algorithm == "entropy" else 0.85)  # entropy clips hard


def test_litert_ranges_are_the_true_minima_and_maxima(net, task, tmp_path):
    items = task.x_train[:16].numpy()
    litert, path = runtime("litert"), tmp_path / "float.tflite"
    with quiet():
        litert.convert(net, task.x_train[:1], path)  # the file that ships has no names
        found = litert._ranges(path, items, "minmax", litert._recipe(Quant()))
    source = next(value for name, value in found.items() if "args_0" in name)
    assert source["min"].item() == items.min()
    assert source["max"].item() == items.max()


def test_stored_integers_of_onnx_lie_at_most_half_a_step_off(net, task, tmp_path):
    import onnx

    artifact = export(net, task, tmp_path / "w", runtime="onnx", quant=Quant("int8-weight"))
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(artifact.path).graph.initializer}
    w = net.linear.weight.detach().numpy()
    q, scale = stored["linear.weight_q"], stored["linear.weight_scale"]
    assert np.abs(q * scale[:, None] - w).max() <= scale.max() / 2 * 1.001


def test_the_same_seed_gives_the_same_file_and_training_items_only(net, task, tmp_path):
    items = files.calibration_items(task, Quant(n_calibration=50, seed=3))
    known = {row.numpy().tobytes() for row in task.x_train}
    hidden = {row.numpy().tobytes() for part in (task.x_val, task.x_test) for row in part}
    assert all(item.tobytes() in known for item in items)
    assert not any(item.tobytes() in hidden for item in items)
    float_path = export(net, task, tmp_path / "float", runtime="onnx").path
    for name in ("one", "two"):
        with quiet():
            runtime("onnx").quantize(float_path, tmp_path / name, Quant(seed=3), items)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(
    ("name", "quant", "words"),
    [
        ("onnx", Quant("int16x8"), "onnx has no int16x8; it has fp32"),
        ("litert", Quant("bf16"), "litert has no bf16; it has fp32"),
        ("onnx", Quant(algorithm="octav"), "it has minmax, percentile"),
        ("onnx", Quant("int8-dynamic", algorithm="mse"), "it has minmax"),
        ("litert", Quant(reduce_range=True), "it has symmetric=True, reduce_range=False"),
        ("packed", Quant("int8-static"), "packed has no int8-static"),
    ],
)
def test_what_a_runtime_lacks_is_one_line(net, task, tmp_path, name, quant, words):
    with pytest.raises(Unsupported, match=words) as caught:
        export(net, task, tmp_path / "x", runtime=name, quant=quant)
    assert "\n" not in str(caught.value)
    check(name, "fp32")


def test_no_calibration_items_is_bad_input(net, task, tmp_path):
    with pytest.raises(BadInput, match="n_calibration: 0"):
        export(net, task, tmp_path / "x", runtime="onnx", quant=Quant(n_calibration=0))


def test_no_weight_comes_back_more_than_half_a_step_wrong(net):
    found = guard.rounding(net, bits=[8, 4, 2])
    assert [one["bits"] for one in found] == [8, 4, 2]
    assert all(0.5 < one["error_in_half_steps"] <= 1 + 1e-4 and one["as_pytorch"] for one in found)
    assert found[1]["half_step"] == pytest.approx(found[0]["half_step"] * 127 / 7)
    assert found[0]["sqnr_db"] > found[1]["sqnr_db"] + 20 > found[2]["sqnr_db"] + 20  # about 6 dB a bit
