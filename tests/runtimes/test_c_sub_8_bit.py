"""Weights of few values in 4, 2 and 1 bits: lossless, found by counting, and the outputs stay."""

import numpy as np
import pytest
from c_networks import compiled, litert, random_items, weighted
from torch import nn

from edgebook.compress.quantize.codebook import codebook
from edgebook.models import build_model
from edgebook.runtimes.base import Quant
from edgebook.runtimes.c import generate, host, sub_8_bit
from edgebook.runtimes.c.graph import read
from edgebook.runtimes.c.load import load
from edgebook.runtimes.c.lower import lower
from edgebook.runtimes.export import export
from edgebook.training.loop import infer

needs_cc = pytest.mark.skipif(bool(host.missing()), reason=str(host.missing()))
LEVELS = {16: 4, 4: 2, 2: 1, 3: 2, 9: 4}


def weights_of(rng, shape, n_values):
    values = rng.choice(np.arange(-127, 128), n_values, replace=False).astype(np.int8)
    weights = values[rng.integers(0, n_values, shape)]
    weights.ravel()[:n_values] = values  # each one is there
    return weights


@pytest.mark.parametrize("n_values", LEVELS)
@pytest.mark.parametrize("taps", [1, 3, 4, 7, 8, 13, 72])
def test_packing_is_lossless_in_as_few_bits_as_the_values_need(n_values, taps):
    weights = weights_of(np.random.default_rng(taps), (20, taps), n_values)
    packed = sub_8_bit.pack(weights)
    assert packed.bits == LEVELS[n_values]
    assert np.array_equal(sub_8_bit.unpack(packed, taps), weights)
    assert packed.data.size == 20 * packed.row * packed.bits // 8


def test_more_than_16_values_stay_int8():
    assert sub_8_bit.pack(weights_of(np.random.default_rng(0), (20, 30), 17)) is None


def file_of(folder, rng, kind, n_values):
    """A layer with few values in its weights: (operator, options, input shape, weights' shape and axis, output shape)."""
    same = {"padding": 0, "strideH": 1, "strideW": 1}
    name, options, shape, weights, axis, out, fields = {
        "dense": ("FULLY_CONNECTED", "FullyConnectedOptions", (1, 90), (40, 90), 0, (1, 40), {}),
        "depthwise": ("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", (1, 6, 7, 300), (1, 3, 3, 300), 3, (1, 6, 7, 300),
                      same | {"depthMultiplier": 1}),
        "convolution": ("CONV_2D", "Conv2DOptions", (1, 6, 7, 21), (30, 3, 3, 21), 0, (1, 6, 7, 30), same),
        "few pixels": ("CONV_2D", "Conv2DOptions", (1, 1, 3, 21), (30, 3, 3, 21), 0, (1, 1, 3, 30), same),
    }[kind]  # fmt: skip
    path = folder / "layer.tflite"
    values = weights_of(rng, weights, n_values)
    path.write_bytes(weighted(rng, name, options, (shape, 0.02, 5), values, axis, out, per_channel=True, low=-3, **fields))
    return path


@needs_cc
@pytest.mark.parametrize("n_values", [16, 4, 2])
@pytest.mark.parametrize("kind", ["convolution", "few pixels", "dense", "depthwise"])
def test_packed_layers_equal_the_reference_kernels(tmp_path, kind, n_values):
    rng = np.random.default_rng(n_values)
    path = file_of(tmp_path, rng, kind, n_values)
    network = lower(read(path))
    assert sub_8_bit.weight_bits(network) == LEVELS[n_values]
    assert f"HAS_BITS_{LEVELS[n_values]} 1" in generate.write(network)
    items = random_items(rng, 3, network.ends.n_input)
    assert np.array_equal(compiled(path, "gemmlowp").run(items), litert(path, items, reference=True))


def test_packing_that_saves_less_than_its_code_is_left(tmp_path):
    rng = np.random.default_rng(0)
    fields = ("FULLY_CONNECTED", "FullyConnectedOptions", ((1, 20), 0.02, 5), weights_of(rng, (10, 20), 4), 0, (1, 10))
    (tmp_path / "small.tflite").write_bytes(weighted(rng, *fields, per_channel=True, low=0))
    assert sub_8_bit.find(lower(read(tmp_path / "small.tflite"))) == {}


@pytest.mark.parametrize(
    ("levels", "bits", "quant"),
    [
        ("kmeans", 2, Quant(granularity="tensor", n_calibration=16)),
        ("kmeans_channel", 4, Quant(n_calibration=16)),
    ],
)
def test_shared_weights_reach_the_file_as_few_integers(levels, bits, quant, net, mnist1d, tmp_path):
    """From PyTorch through LiteRT's quantizer to C."""
    x, shared = mnist1d.x_test, codebook(net, mnist1d, bits=bits, levels=levels)
    artifact = export(shared, mnist1d, tmp_path / "net", runtime="c", quant=quant)
    assert artifact.columns["weight_bits"] == bits
    answers = [outputs.argmax(1) for outputs in (load(artifact.path).predict(x.numpy()), infer(shared, x).numpy())]
    assert (answers[0] == answers[1]).mean() > 0.95


def test_a_grid_per_channel_survives_the_folding_of_batch_norm(digits, tmp_path):
    network = build_model("ds_cnn", digits.input_shape, digits.n_outputs)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # of both signs
            nn.init.normal_(module.weight)
    shared = codebook(network, digits, bits=4, levels="linear")
    artifact = export(shared, digits, tmp_path / "net", runtime="c", quant=Quant(n_calibration=16))
    assert artifact.columns["weight_bits"] == 4
