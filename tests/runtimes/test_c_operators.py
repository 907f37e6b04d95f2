"""Every operator of the generated C equals LiteRT's reference kernels bit by bit, on random shapes and numbers."""

import numpy as np
import pytest
from c_networks import ACTIVATIONS, PADDINGS, compiled, litert, out_size, output_scale, random_items, weighted
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from tflite_files import activation, constant, network, options

from edgebook.runtimes.c import generate, host

pytestmark = pytest.mark.skipif(bool(host.missing()), reason=str(host.missing()))
SIZE, CHANNELS, KERNEL, STRIDE = st.integers(1, 40), st.integers(1, 40), st.integers(1, 5), st.integers(1, 3)
SMALL, ZERO, SEED = st.integers(1, 12), st.integers(-128, 127), st.integers(0, 10**6)
LARGEST = 2_000_000  # multiply-accumulates of one example


def examples(n):
    """n examples, the same at every run; each one compiles a file."""
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much]
    fixed = {"derandomize": True, "database": None, "phases": [Phase.generate]}
    return settings(max_examples=n, deadline=None, suppress_health_check=checks, **fixed)


def assert_equal(data, folder, rng, *, n=4):
    """The gemmlowp profile equals the reference kernels in every byte; the default profile is at most one step away."""
    path = folder / "operator.tflite"
    path.write_bytes(data)
    exact, single = (compiled(path, profile, flags=("-O0",)) for profile in ("gemmlowp", "single"))
    items = random_items(rng, n, exact.ends.n_input)
    wanted = litert(path, items, reference=True)
    assert np.array_equal(exact.run(items), wanted)
    assert np.abs(single.run(items).astype(int) - wanted).max() <= 1


@given(size=st.tuples(SIZE, SIZE), c=CHANNELS, out=CHANNELS, kernel=st.tuples(KERNEL, KERNEL), stride=st.tuples(STRIDE, STRIDE),
       zeros=st.tuples(ZERO, ZERO), seed=SEED, padding=st.sampled_from(sorted(PADDINGS)),
       act=st.sampled_from(sorted(ACTIVATIONS)), per_channel=st.booleans())  # fmt: skip
@examples(25)
def test_convolution(tmp_path, size, c, out, kernel, stride, zeros, seed, padding, act, per_channel):
    (h, w), (kh, kw), (sh, sw), (zero, low) = size, kernel, stride, zeros
    assume(padding == "SAME" or (kh <= h and kw <= w))
    oh, ow = out_size(h, kh, sh, padding), out_size(w, kw, sw, padding)
    assume(oh * ow * out * c * kh * kw <= LARGEST)
    rng = np.random.default_rng(seed)
    weights = rng.integers(-127, 128, (out, kh, kw, c)).astype(np.int8)
    fields = {"padding": PADDINGS[padding], "strideH": sh, "strideW": sw, "fusedActivationFunction": ACTIVATIONS[act]}
    data = weighted(rng, "CONV_2D", "Conv2DOptions", ((1, h, w, c), 0.02, zero), weights, 0, (1, oh, ow, out),
                    per_channel=per_channel, low=low, **fields)  # fmt: skip
    assert_equal(data, tmp_path, rng)


@given(h=SIZE, w=SIZE, c=CHANNELS, copies=st.integers(1, 4), kh=KERNEL, kw=KERNEL, s=STRIDE, zero=ZERO, low=ZERO, seed=SEED,
       padding=st.sampled_from(sorted(PADDINGS)), act=st.sampled_from(sorted(ACTIVATIONS)))  # fmt: skip
@examples(25)
def test_depthwise_convolution(tmp_path, h, w, c, copies, kh, kw, s, zero, low, seed, padding, act):
    assume(padding == "SAME" or (kh <= h and kw <= w))
    oh, ow = out_size(h, kh, s, padding), out_size(w, kw, s, padding)
    assume(oh * ow * c * copies * kh * kw <= LARGEST)
    rng = np.random.default_rng(seed)
    weights = rng.integers(-127, 128, (1, kh, kw, c * copies)).astype(np.int8)
    fields = {"padding": PADDINGS[padding], "strideH": s, "strideW": s, "depthMultiplier": copies}
    data = weighted(rng, "DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", ((1, h, w, c), 0.02, zero), weights, 3,
                    (1, oh, ow, c * copies), per_channel=True, low=low, fusedActivationFunction=ACTIVATIONS[act],
                    **fields)  # fmt: skip
    assert_equal(data, tmp_path, rng)


@given(rows=st.integers(1, 5), n_in=st.integers(1, 200), n_out=st.integers(1, 60), zero=ZERO, low=ZERO, seed=SEED,
       act=st.sampled_from(sorted(ACTIVATIONS)), per_channel=st.booleans())  # fmt: skip
@examples(20)
def test_dense(tmp_path, rows, n_in, n_out, zero, low, seed, act, per_channel):
    rng = np.random.default_rng(seed)
    weights = rng.integers(-127, 128, (n_out, n_in)).astype(np.int8)
    data = weighted(rng, "FULLY_CONNECTED", "FullyConnectedOptions", ((rows, n_in), 0.02, zero), weights, 0, (rows, n_out),
                    per_channel=per_channel, low=low, fusedActivationFunction=ACTIVATIONS[act])  # fmt: skip
    assert_equal(data, tmp_path, rng)


SCALE = st.sampled_from([0.003, 0.01, 0.02, 0.05])


@pytest.mark.parametrize("name", ["ADD", "SUB", "MUL"])
@given(h=SIZE, c=CHANNELS, shape=st.sampled_from(["same", "channels", "one"]), fixed=st.booleans(),
       zeros=st.tuples(ZERO, ZERO, ZERO), scales=st.tuples(SCALE, SCALE), act=st.sampled_from(["NONE", "RELU"]),
       seed=SEED)  # fmt: skip
@examples(12)
def test_elementwise(tmp_path, name, h, c, shape, fixed, zeros, scales, act, seed):
    rng = np.random.default_rng(seed)
    whole, other = (1, h, 2, c), {"same": (1, h, 2, c), "channels": (1, 1, 1, c), "one": (1, 1, 1, 1)}[shape]
    scale_out = scales[0] * scales[1] * 60 if name == "MUL" else scales[0] + scales[1]
    second = activation(other, scales[1], zeros[1])
    if fixed or shape != "same":
        second["data"] = rng.integers(-128, 128, other).astype(np.int8)
    inputs = [0, 1] if second["data"] is not None else [0, 0]
    kind = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions"}[name]
    chosen = options(kind, fusedActivationFunction=ACTIVATIONS[act])
    tensors = [activation(whole, scales[0], zeros[0]), second, activation(whole, scale_out, zeros[2])]
    assert_equal(network([(name, chosen, inputs, [2])], [0], [2], tensors), tmp_path, rng)


@pytest.mark.parametrize("name", ["MAX_POOL_2D", "AVERAGE_POOL_2D"])
@given(h=SIZE, w=SIZE, c=CHANNELS, kh=KERNEL, kw=KERNEL, s=STRIDE, zero=ZERO, seed=SEED,
       padding=st.sampled_from(sorted(PADDINGS)), act=st.sampled_from(["NONE", "RELU"]))  # fmt: skip
@examples(15)
def test_pool(tmp_path, name, h, w, c, kh, kw, s, zero, seed, padding, act):
    assume(padding == "SAME" or (kh <= h and kw <= w))
    out = (1, out_size(h, kh, s, padding), out_size(w, kw, s, padding), c)
    chosen = options("Pool2DOptions", padding=PADDINGS[padding], strideH=s, strideW=s, filterHeight=kh, filterWidth=kw,
                     fusedActivationFunction=ACTIVATIONS[act])  # fmt: skip
    tensors = [activation((1, h, w, c), 0.02, zero), activation(out, 0.02, zero)]
    assert_equal(network([(name, chosen, [0], [1])], [0], [1], tensors), tmp_path, np.random.default_rng(seed))


@given(h=SIZE, w=SIZE, c=CHANNELS, zero=ZERO, low=ZERO, ratio=st.sampled_from([0.2, 0.5, 1.7]), keep=st.booleans(), seed=SEED)
@examples(20)
def test_mean_over_height_and_width(tmp_path, h, w, c, zero, low, ratio, keep, seed):
    data = reduction("MEAN", h, w, c, zero, low, 0.02 * ratio / np.sqrt(h * w), keep)
    assert_equal(data, tmp_path, np.random.default_rng(seed))


@given(h=SIZE, w=SIZE, c=CHANNELS, zero=ZERO, low=ZERO, ratio=st.sampled_from([0.2, 0.5, 1.7]), keep=st.booleans(), seed=SEED)
@examples(10)
def test_sum_over_height_and_width(tmp_path, h, w, c, zero, low, ratio, keep, seed):
    """Against XNNPACK: LiteRT's reference kernel gives -1 for negative sums and does not clip (seen in 2.3)."""
    path = tmp_path / "sum.tflite"
    path.write_bytes(reduction("SUM", h, w, c, zero, low, 0.02 * ratio * np.sqrt(h * w), keep))
    ours = compiled(path, flags=("-O0",))
    items = random_items(np.random.default_rng(seed), 4, ours.ends.n_input)
    assert np.abs(ours.run(items).astype(int) - litert(path, items)).max() <= 1


def reduction(name, h, w, c, zero, low, scale_out, keep):
    out = (1, 1, 1, c) if keep else (1, c)
    tensors = [activation((1, h, w, c), 0.02, zero), constant(np.array([1, 2], np.int32)), activation(out, float(scale_out), low)]
    return network([(name, options("ReducerOptions", keepDims=keep), [0, 1], [2])], [0], [2], tensors)


@pytest.mark.parametrize(("name", "scale_out", "zero_out"), [("LOGISTIC", 1 / 256, -128), ("TANH", 1 / 128, 0)])
@given(n=st.integers(1, 300), scale=st.floats(0.001, 0.2), zero=ZERO, seed=SEED)
@examples(10)
def test_table(tmp_path, name, scale_out, zero_out, n, scale, zero, seed):
    tensors = [activation((1, n), scale, zero), activation((1, n), scale_out, zero_out)]
    assert_equal(network([(name, None, [0], [1])], [0], [1], tensors), tmp_path, np.random.default_rng(seed), n=8)


@given(shape=st.tuples(SIZE, SMALL, CHANNELS), amounts=st.lists(st.integers(0, 3), min_size=6, max_size=6), zero=ZERO, seed=SEED)
@examples(10)
def test_padding(tmp_path, shape, amounts, zero, seed):
    pads = np.array([[0, 0], *np.reshape(amounts, (3, 2))], np.int32)
    out = tuple(int(size + more) for size, more in zip((1, *shape), pads.sum(1), strict=True))
    tensors = [activation((1, *shape), 0.02, zero), constant(pads), activation(out, 0.02, zero)]
    assert_equal(network([("PAD", options("PadOptions"), [0, 1], [2])], [0], [2], tensors), tmp_path, np.random.default_rng(seed))


@given(shape=st.tuples(SMALL, SMALL, CHANNELS), data=st.data(), seed=SEED)
@examples(10)
def test_slice(tmp_path, shape, data, seed):
    begin = [0, *(data.draw(st.integers(0, size - 1)) for size in shape)]
    size = [1, *(data.draw(st.integers(1, whole - start)) for whole, start in zip(shape, begin[1:], strict=True))]
    tensors = [
        activation((1, *shape), 0.02, 3), constant(np.array(begin, np.int32)), constant(np.array(size, np.int32)),
        activation(tuple(size), 0.02, 3),
    ]  # fmt: skip
    operators = [("SLICE", options("SliceOptions"), [0, 1, 2], [3])]
    assert_equal(network(operators, [0], [3], tensors), tmp_path, np.random.default_rng(seed))


@given(shape=st.tuples(st.integers(1, 4), SMALL, SMALL, CHANNELS), order=st.permutations(range(4)), seed=SEED)
@examples(10)
def test_transpose(tmp_path, shape, order, seed):
    out = tuple(shape[axis] for axis in order)
    tensors = [activation(shape, 0.02, 3), constant(np.array(order, np.int32)), activation(out, 0.02, 3)]
    data = network([("TRANSPOSE", options("TransposeOptions"), [0, 1], [2])], [0], [2], tensors)
    assert_equal(data, tmp_path, np.random.default_rng(seed))


@given(h=st.integers(1, 12), widths=st.lists(CHANNELS, min_size=2, max_size=3), axis=st.sampled_from([1, 3]), seed=SEED)
@examples(10)
def test_concatenation_of_slices(tmp_path, h, widths, axis, seed):
    """The input cut into parts along an axis and joined in another order."""
    whole = [1, h, 2, 5]
    whole[axis] = sum(widths)
    tensors, operators, start = [activation(tuple(whole), 0.02, 3)], [], 0
    for width in widths:
        begin, size = [0] * 4, list(whole)
        begin[axis], size[axis] = start, width
        start += width
        n = len(tensors)
        tensors += [constant(np.array(begin, np.int32)), constant(np.array(size, np.int32)), activation(tuple(size), 0.02, 3)]
        operators.append(("SLICE", options("SliceOptions"), [0, n, n + 1], [n + 2]))
    parts = [outputs[0] for *_, outputs in reversed(operators)]
    tensors.append(activation(tuple(whole), 0.02, 3))
    operators.append(("CONCATENATION", options("ConcatenationOptions", axis=axis), parts, [len(tensors) - 1]))
    data = network(operators, [0], [len(tensors) - 1], tensors)
    assert_equal(data, tmp_path, np.random.default_rng(seed))


@given(c=st.integers(2, 12), h=st.integers(2, 6), n_out=st.integers(1, 10), zero=ZERO, seed=SEED)
@examples(10)
def test_a_transpose_before_a_dense_layer_moves_into_its_columns(tmp_path, c, h, n_out, zero, seed):
    rng = np.random.default_rng(seed)
    n_in, weight_scale = h * 3 * c, np.float32(rng.uniform(0.002, 0.02, n_out))
    tensors = [
        activation((1, h, 3, c), 0.02, zero), constant(np.array([0, 3, 1, 2], np.int32)), activation((1, c, h, 3), 0.02, zero),
        constant(np.array([1, n_in], np.int32)), activation((1, n_in), 0.02, zero),
        constant(rng.integers(-127, 128, (n_out, n_in)).astype(np.int8), weight_scale),
        activation((1, n_out), output_scale(0.02, weight_scale, n_in), 5),
    ]  # fmt: skip
    operators = [
        ("TRANSPOSE", options("TransposeOptions"), [0, 1], [2]), ("RESHAPE", options("ReshapeOptions"), [2, 3], [4]),
        ("FULLY_CONNECTED", options("FullyConnectedOptions"), [4, 5, -1], [6]),
    ]  # fmt: skip
    data = network(operators, [0], [6], tensors)
    assert_equal(data, tmp_path, rng)
    assert "copy(" not in generate.source(tmp_path / "operator.tflite")
