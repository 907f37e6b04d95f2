"""Every field of a Quant changes a runtime's file, or is refused with the values that it takes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgebook.errors import Unsupported
from edgebook.runtimes.base import RUNTIMES, Quant, runtime
from edgebook.runtimes.calibration import ALGORITHMS, N_BINS, calibration_items, choose_range
from edgebook.runtimes.export import clean_copy, export
from edgebook.runtimes.quiet import quiet
from edgebook.training.loop import infer

PLAIN = Quant(n_calibration=16)
CHANGES = {
    "granularity": {"granularity": "tensor"},
    "symmetric": {"symmetric": False},
    "algorithm": {"algorithm": "mse"},
    "reduce_range": {"reduce_range": True},
    "per_layer": {"per_layer": (("linear|output_0", "fp32"),)},
}
# what each runtime's tool takes beside the default, as its documentation has it
TAKES = {
    ("onnx", "int8-static"): {"granularity", "algorithm", "reduce_range", "per_layer"},
    ("onnx", "int8-dynamic"): {"granularity", "symmetric", "reduce_range"},
    ("onnx", "int8-weight"): {"granularity", "symmetric", "per_layer"},
    ("onnx", "int4-weight"): {"granularity", "symmetric", "per_layer"},
    ("onnx", "fp16"): set(),
    ("onnx", "bf16"): set(),
    ("litert", "int8-static"): {"granularity", "algorithm", "per_layer"},
    ("litert", "int16x8"): {"granularity", "algorithm", "per_layer"},
    ("litert", "int4-static"): {"granularity", "algorithm", "per_layer"},
    ("litert", "int8-dynamic"): {"algorithm", "per_layer"},
    ("litert", "int4-dynamic"): {"algorithm", "per_layer"},
    ("litert", "int8-weight"): {"granularity", "algorithm", "per_layer"},
    ("litert", "int4-weight"): {"granularity", "algorithm", "per_layer"},
    ("litert", "fp16"): {"per_layer"},
}


@pytest.fixture(scope="module")
def floats(net, mnist1d, tmp_path_factory):
    """The float file of each runtime that quantizes files, before it is stripped."""
    folder, paths = tmp_path_factory.mktemp("floats"), {}
    for name in ("onnx", "litert"):
        paths[name] = folder / f"float{runtime(name).extension}"
        with quiet():
            runtime(name).side("export").convert(clean_copy(net), mnist1d.x_train[:1], paths[name])
    return paths


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("quantized")


@pytest.fixture(scope="module")
def made(floats, mnist1d, folder):
    """(runtime, quant) -> the bytes of the quantized file."""
    items = calibration_items(mnist1d, PLAIN)

    def make(name, quant):
        path = folder / f"file{runtime(name).extension}"
        with quiet():
            runtime(name).side("export").quantize(floats[name], path, quant, items)
        return path.read_bytes()

    return make


@pytest.fixture(scope="module")
def kept(net, mnist1d, folder):
    """runtime -> share of the network's predictions that the file made last keeps."""
    x = mnist1d.x_test[:200]
    eager = infer(net, x).numpy().argmax(1)

    def share(name):
        program = runtime(name).side("load").load(folder / f"file{runtime(name).extension}")
        return (program.predict(x.numpy()).argmax(1) == eager).mean()

    return share


def test_the_table_above_is_complete():
    for name in ("onnx", "litert"):
        assert {precision for runtime_name, precision in TAKES if runtime_name == name} == {*RUNTIMES[name].precisions} - {"fp32"}


def test_onnx_weights_of_one_scale_may_be_asymmetric(made):
    """The tool makes weights per channel symmetric whatever it is told, so that asking for it is refused."""
    per_layer = replace(PLAIN, granularity="tensor")
    assert made("onnx", replace(per_layer, symmetric=False)) != made("onnx", per_layer)


@pytest.mark.parametrize(("name", "precision"), TAKES)
def test_a_field_changes_the_file_or_is_refused(name, precision, made, kept):
    """Files of settings that are taken also compute the network: some kernels give random outputs for some settings."""
    plain = made(name, replace(PLAIN, precision=precision))
    for field, change in CHANGES.items():
        quant = replace(PLAIN, precision=precision, **change)
        if field in TAKES[name, precision]:
            assert made(name, quant) != plain, field
            assert kept(name) > 0.6, field
        else:
            with pytest.raises(Unsupported, match=f"for (layers of )?{precision}") as caught:
                made(name, quant)
            assert caught.value.code == "algorithm", field


@pytest.mark.parametrize("change", [change for field, change in CHANGES.items() if field != "granularity"])
def test_executorch_refuses_what_pt2e_does_not_take(change, net, mnist1d, tmp_path):
    items = calibration_items(mnist1d, PLAIN)
    with pytest.raises(Unsupported) as caught:
        runtime("executorch").side("export").quantize(net, tmp_path / "x.pte", replace(PLAIN, **change), items)
    assert caught.value.code == "algorithm"


def test_an_error_names_what_is_allowed(made):
    with pytest.raises(Unsupported, match="onnx has algorithm minmax, percentile, entropy, mse for int8-static, not octav"):
        made("onnx", replace(PLAIN, algorithm="octav"))
    with pytest.raises(Unsupported, match="onnx has fp32 for layers of int8-static, not linear: int4-weight"):
        made("onnx", replace(PLAIN, per_layer=(("linear", "int4-weight"),)))
    for name, precision in (("onnx", "int8-static"), ("onnx", "int8-weight"), ("litert", "int8-static")):
        with pytest.raises(Unsupported, match=f"{name}: 'absent' matches no layer; there are "):
            made(name, replace(PLAIN, precision=precision, per_layer=(("absent", "fp32"),)))


@pytest.mark.parametrize("name", ["onnx", "litert"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_way_to_choose_ranges_keeps_most_predictions(name, algorithm, net, mnist1d, tmp_path, predict):
    quant = Quant(algorithm=algorithm, n_calibration=32)
    outputs = predict(export(net, mnist1d, tmp_path / "q", runtime=name, quant=quant), mnist1d.x_test)
    agreement = (outputs.argmax(1) == infer(net, mnist1d.x_test).numpy().argmax(1)).mean()
    assert agreement >= (0.6 if algorithm == "entropy" else 0.85)  # entropy clips hard


@pytest.mark.parametrize("name", ["onnx", "litert"])
def test_every_precision_keeps_most_predictions(name, files, net, mnist1d, tmp_path, predict):
    eager = infer(net, mnist1d.x_test).numpy().argmax(1)
    for precision in RUNTIMES[name].precisions[1:]:
        artifact = export(net, mnist1d, tmp_path / "q", runtime=name, quant=Quant(precision, n_calibration=64))
        least = 0.8 if precision.startswith("int4") else 0.9
        assert (predict(artifact, mnist1d.x_test).argmax(1) == eager).mean() >= least, precision
        assert artifact.size_bytes < files[name, "fp32"].size_bytes, precision


def test_ranges_include_zero_and_clip_only_a_tail():
    values = np.random.default_rng(0).standard_normal(100_000)
    values[0] = 40.0
    counts, edges = np.histogram(values, N_BINS)
    for algorithm in ALGORITHMS:
        low, high = choose_range(counts, edges, algorithm)
        assert low < 0 < high < 40, algorithm
    counts, edges = np.histogram(np.abs(values[1:]), N_BINS)
    assert choose_range(counts, edges, "mse")[0] == 0.0
    with pytest.raises(ValueError, match="empty"):
        choose_range(np.zeros(4), np.arange(5.0), "mse")


def test_litert_ranges_are_the_true_minima_and_maxima(floats, mnist1d):
    from edgebook.runtimes.litert.quantize import activation_ranges, quantizer_recipe

    items = mnist1d.x_train[:16].numpy()
    with quiet():
        ranges = activation_ranges(floats["litert"], items, "minmax", quantizer_recipe(Quant()))
    source = next(value for name, value in ranges.items() if "args_0" in name)
    assert source["min"].item() == items.min()
    assert source["max"].item() == items.max()


def test_stored_integers_of_onnx_lie_at_most_half_a_step_off(net, mnist1d, tmp_path):
    import onnx

    artifact = export(net, mnist1d, tmp_path / "w", runtime="onnx", quant=Quant("int8-weight"))
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(artifact.path).graph.initializer}
    w = net.linear.weight.detach().numpy()
    q, scale = stored["linear.weight_q"], stored["linear.weight_scale"]
    assert np.abs(q * scale[:, None] - w).max() <= scale.max() / 2 * 1.001
