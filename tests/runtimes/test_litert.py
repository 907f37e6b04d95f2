"""Inside .tflite files: stripped of names, weights inside and aligned, the operator that needs the most memory."""

from __future__ import annotations

import numpy as np
import pytest
import tflite_files
import torch

from edgebook.errors import Unsupported
from edgebook.models import build_model
from edgebook.runtimes.base import Quant
from edgebook.runtimes.integers import to_real, to_stored
from edgebook.runtimes.litert import flatbuffer
from edgebook.runtimes.litert.export import convert, finish, quantize
from edgebook.runtimes.litert.load import load


def test_a_stripped_file_is_smaller_and_says_by_how_much(files):
    artifact = files["litert", "int8-static"]
    assert "not_stripped" not in artifact.columns["extra"]
    assert artifact.size_bytes < 0.75 * artifact.columns["extra"]["size_unstripped_bytes"]
    assert b"serving_default" not in artifact.path.read_bytes()


def test_stripping_twice_changes_nothing_more(files):
    data = files["litert", "fp32"].path.read_bytes()
    assert len(flatbuffer.strip(data)) == len(data)


def test_weights_that_lie_behind_the_flatbuffer_come_inside(mnist1d, tmp_path):
    """What ai-edge-quantizer writes for a net of a megabyte: stripped as if the weights were gone, it would not run."""
    from ai_edge_litert import schema_py_generated as schema

    big = build_model("mlp", mnist1d.input_shape, mnist1d.n_outputs, hidden=(600, 600)).eval().requires_grad_(False)
    floating, whole, slim = (tmp_path / f"{name}.tflite" for name in ("float", "whole", "slim"))
    convert(big, mnist1d.x_train[:1], floating)
    quantize(floating, whole, Quant("int8-static"), mnist1d.x_train[:8].numpy())
    slim.write_bytes(flatbuffer.strip(whole.read_bytes()))
    models = [schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0) for path in (whole, slim)]
    outside, inside = ([buffer.offset for buffer in model.buffers] for model in models)
    assert max(outside) > 1, "the quantizer kept them inside: test with a larger net"
    assert max(inside) == 0
    x = mnist1d.x_test[:20].numpy()
    np.testing.assert_array_equal(load(slim).predict(x), load(whole).predict(x))


def test_weights_stay_aligned(files):
    from ai_edge_litert import schema_py_generated as schema

    data = files["litert", "int8-static"].path.read_bytes()
    model = schema.Model.GetRootAs(data, 0)
    buffers = [model.Buffers(i) for i in range(model.BuffersLength())]
    places = [b.DataAsNumpy().ctypes.data - np.frombuffer(data, np.uint8).ctypes.data for b in buffers if b.DataLength()]
    assert len(places) > 5
    assert all(place % flatbuffer.ALIGNMENT == 0 for place in places)


def test_peak_layer_is_counted_as_by_hand(tmp_path):
    # 4 -> 8 -> 2 in float: the first layer holds 4 + 8 values, the second 8 + 2
    net = build_model("mlp", (4,), 2, hidden=[8])
    convert(net.eval(), torch.zeros(1, 4), tmp_path / "mlp.tflite")
    peak = flatbuffer.peak_layer((tmp_path / "mlp.tflite").read_bytes())
    assert (peak["operator"], peak["bytes"]) == ("FULLY_CONNECTED", 4 * (4 + 8))


def test_a_tensors_own_scales_are_used():
    detail = {"quantization": (0.1, -3), "dtype": np.int8}
    x = np.array([-1.0, 0.0, 0.5, 100.0], np.float32)
    assert to_stored(x, detail).tolist() == [-13, -3, 2, 127]
    np.testing.assert_allclose(to_real(to_stored(x[:3], detail), detail), x[:3], atol=0.05)
    plain = {"quantization": (0.0, 0), "dtype": np.float32}
    assert to_real(to_stored(x, plain), plain) == pytest.approx(x)


def test_an_integer_file_that_xnnpack_refuses_is_unsupported_with_its_operator(tmp_path):
    """A layer whose outputs hardly differ, as behind a dead ReLU, gets a scale that no integer arithmetic has."""
    weight = np.ones((4, 8), np.int8)
    tensors = [
        tflite_files.activation((1, 8), 0.1, 0),
        tflite_files.constant(weight, [0.02]),
        tflite_files.constant(np.zeros(4, np.int32), [0.002]),
        tflite_files.activation((1, 4), 1e-7, 0),
    ]
    operators = [("FULLY_CONNECTED", tflite_files.options("FullyConnectedOptions"), [0, 1, 2], [3])]
    (tmp_path / "whole.tflite").write_bytes(tflite_files.network(operators, [0], [3], tensors))
    with pytest.raises(Unsupported, match=r"litert refuses it: FULLY_CONNECTED \(operator 0\) gives nearly the same") as caught:
        finish(tmp_path / "whole.tflite", tmp_path / "slim.tflite", np.zeros((2, 8), np.float32))
    assert caught.value.code == "operator"
