"""What the tests of the C runtime share: files of whole networks, LiteRT's answers in integers, random operators."""

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tflite_files import activation, constant, network, options

from edgebook.runtimes.c import generate, host
from edgebook.runtimes.integers import to_stored

PADDINGS = {"SAME": 0, "VALID": 1}
ACTIVATIONS = {"NONE": 0, "RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3}


def compiled(path, profile="single", flags=("-O2",)):
    """A .tflite as C, compiled here."""
    return host.compiled(generate.source(path, profile=profile), flags=flags)


def stored_items(x, ends):
    """Inputs in the integers of a network with these ends, (n, size)."""
    return to_stored(x.numpy(), ends.input_detail).reshape(len(x), -1)


def litert(path, items, *, reference=False):
    """LiteRT's int8 outputs (n, size), by XNNPACK or by the reference kernels."""
    kernels = {"experimental_op_resolver_type": OpResolverType.BUILTIN_REF} if reference else {}
    interpreter = Interpreter(str(path), num_threads=1, **kernels)
    interpreter.allocate_tensors()
    source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    outputs = []
    for item in items:
        interpreter.set_tensor(source["index"], item.reshape(source["shape"]))
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(sink["index"]).ravel().copy())
    return np.array(outputs)


def random_items(rng, n, size):
    return rng.integers(-128, 128, (n, size)).astype(np.int8)


def scales(rng, n):
    """Scales of weights, each a little different."""
    return np.float32(rng.uniform(0.002, 0.02, n))


def output_scale(scale_in, weight_scale, n_taps):
    """A scale at which sums of random products fill int8 but not all of them clip."""
    return float(scale_in * np.mean(weight_scale) * 74 * 74 * np.sqrt(n_taps) / 50)


def weighted(rng, name, kind, x, weights, axis, out_shape, *, per_channel, low, **fields):
    """A file of one operator with weights (the output channels along `axis`) and a bias; `x`: shape, scale, zero point."""
    shape, scale_in, zero_in = x
    n_out = weights.shape[axis]
    weight_scale = scales(rng, n_out if per_channel else 1)
    scale_out = output_scale(scale_in, weight_scale, weights.size / n_out)
    bias = rng.integers(-4000, 4000, n_out).astype(np.int32)
    tensors = [
        activation(shape, scale_in, zero_in),
        constant(weights, weight_scale, axis),
        constant(bias, np.float32(scale_in) * weight_scale),
        activation(out_shape, scale_out, low),
    ]
    return network([(name, options(kind, **fields), [0, 1, 2], [3])], [0], [3], tensors)


def out_size(size, kernel, stride, padding):
    return -(-size // stride) if padding == "SAME" else (size - kernel) // stride + 1
