"""TFLM and Vela: LiteRT's files in microcontroller kernels and compiled for accelerators."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from edgebook.errors import Unsupported
from edgebook.measure.session import measure_files
from edgebook.models import build_model
from edgebook.runtimes.export import export
from edgebook.runtimes.integers import to_real, to_stored


def test_microcontroller_kernels_give_the_reference_kernels_outputs(files, mnist1d, predict):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    path = files["litert", "int8-static"].path
    reference = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    reference.allocate_tensors()
    (source,), (sink,) = reference.get_input_details(), reference.get_output_details()
    x, expected = mnist1d.x_test[:200], []
    for item in x.numpy():
        reference.set_tensor(source["index"], to_stored(item[None], source))
        reference.invoke()
        expected.append(to_real(reference.get_tensor(sink["index"]), sink))
    steps = np.abs(predict(files["tflm", "int8-static"], x) - np.concatenate(expected)) / sink["quantization"][0]
    assert (steps < 1.01).mean() >= 0.99


def test_microcontroller_has_an_arena_and_no_latency(files, mnist1d):
    artifact = files["tflm", "int8-static"]
    assert artifact.columns["extra"]["peak_layer"]["bytes"] < artifact.columns["arena_bytes"] < 20_000
    (measured,) = measure_files([artifact], {"test": mnist1d.x_test[:20].numpy()}, seconds=0.05)
    assert measured.error is None
    assert measured.outputs["test"].shape == (20, 10)
    assert (measured.blocks_p50, measured.rss_bytes) == ([], None)


def test_microcontroller_names_the_operator_that_it_lacks(mnist1d, tmp_path):
    short = dataclasses.replace(mnist1d, x_train=mnist1d.x_train[:, :, :12])  # 12 steps joined: TFLM takes 10 inputs
    net = build_model("gru", (1, 12), 10, hidden=4)
    with pytest.raises(Unsupported, match="CONCATENATION") as caught:
        export(net, short, tmp_path / "gru", runtime="tflm")
    assert caught.value.code == "operator"


def test_accelerator_takes_every_operator(files, mnist1d, predict):
    columns = files["vela", "int8-static"].columns
    assert columns["device"] == "ethos-u55-128"
    assert columns["extra"]["cpu_operators"] == 0
    assert columns["extra"]["npu_operators"] > 0
    assert columns["arena_bytes"] >= columns["extra"]["peak_layer"]["bytes"]
    assert columns["latency_ms_est"] == pytest.approx(columns["extra"]["cycles"] / 500e3, rel=0.01)  # at 500 MHz
    x = mnist1d.x_test[:50]
    assert np.array_equal(predict(files["vela", "int8-static"], x), predict(files["litert", "int8-static"], x))
