"""One step of SGD on a dense layer in C: for the host through ctypes, and as a network whose state is the layer, to be counted
on a core."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np

from edgebook.files import scratch
from edgebook.runtimes.c import generate, host
from edgebook.runtimes.c.ends import Ends, head
from edgebook.runtimes.c.text import kernel_text
from edgebook.runtimes.train_step import Layer, Lesson, Trained

# the state is the layer, the input an item's features and its label, the output whether a step was made
AS_NETWORK = """
void predict(const int8_t *input, int8_t *output, int8_t *state)
{
    float x[N_FEATURES];
    memcpy(x, input, sizeof x);
    train_step((float *)(void *)state, (float *)(void *)state + N_CLASSES * N_FEATURES, x, input[sizeof x], RATE);
    memcpy(output, state + sizeof(float) * N_CLASSES * N_FEATURES, OUTPUT_SIZE);
}

void reset(int8_t *state) { memset(state, 0, STATE_SIZE); }
"""


def source(layer: Layer) -> str:
    """The C source: `void train_step(float *weights, float *bias, const float *x, int label, float rate)`."""
    n_classes, n_features = layer.weight.shape
    prototype = "void train_step(float *weights, float *bias, const float *x, int label, float rate);"
    sizes = f"enum {{ N_CLASSES = {n_classes}, N_FEATURES = {n_features} }};"
    return "\n".join(["#include <stdint.h>", "", sizes, prototype, "", kernel_text("train_step")])


def train(layer: Layer, lesson: Lesson, folder: Path) -> Trained:
    """See `runtimes.train_step`. Raises Unsupported without a compiler."""
    text = source(layer)
    (folder / "train_step.c").write_text(text, encoding="utf-8")
    with scratch() as compiled:
        library = ctypes.CDLL(str(host.compile_library(text, compiled)))
    step, pointer = library.train_step, ctypes.POINTER(ctypes.c_float)
    step.argtypes, step.restype = [pointer, pointer, pointer, ctypes.c_int, ctypes.c_float], None
    weight, bias, x = (np.array(part, np.float32, order="C") for part in (layer.weight, layer.bias, lesson.x))
    for item in lesson.order:
        step(*(part.ctypes.data_as(pointer) for part in (weight, bias, x[item])), int(lesson.y[item]), lesson.rate)
    return Trained(Layer(weight, bias), len(text))


def as_network(layer: Layer, rate: float) -> str:
    """The step in the form of a generated network, so that `boards.emulated` counts it; the output is the bias, byte by byte."""
    n_classes, n_features = layer.weight.shape
    ends = Ends((4 * n_features + 1,), (4 * n_classes,), (1.0, 0), (1.0, 0), 4 * n_classes * (n_features + 1))
    parts = ["#include <string.h>", source(layer), *head(ends), f"#define RATE {rate!r}f"]
    return "\n".join([*parts, *(f"{line};" for line in generate.signatures(ends)), AS_NETWORK])


def as_items(lesson: Lesson, n: int) -> np.ndarray:
    """The first n steps as inputs of that network, int8 (n, size)."""
    items = lesson.order[:n]
    bits = np.ascontiguousarray(lesson.x[items], np.float32).view(np.int8)
    return np.concatenate([bits, lesson.y[items, None].astype(np.int8)], axis=1)
