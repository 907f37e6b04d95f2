"""What a JSON beside a file tells: scales of integer inputs, preprocessing."""

import numpy as np
import onnx_files
import pytest
from onnx import TensorProto, helper

from edgebook.errors import BadInput
from edgebook.runtimes import sidecar
from edgebook.runtimes.onnx.load import load


def test_integer_inputs_need_a_sidecar_and_follow_it(tmp_path):
    """round(x / scale) + zero_point by hand, then the file's own multiplication; a preprocess is applied before."""
    nodes = [helper.make_node("Cast", ["x"], ["c"], to=TensorProto.FLOAT), helper.make_node("MatMul", ["c", "w"], ["y"])]
    weights = [("w", np.eye(2, dtype=np.float32))]
    path = onnx_files.save(tmp_path / "u8.onnx", nodes, (1, 2), TensorProto.UINT8, weights, (1, 2))
    assert "u8.json" in (load(path).not_scored or "")
    (tmp_path / "u8.json").write_text('{"input": {"scale": 0.5, "zero_point": 100}, "preprocess": {"scale": 2.0}}')
    x = np.array([[1.3, -60.0]], np.float32)
    assert load(path).predict(x).tolist() == [[103.0, 0.0]]
    assert sidecar.prepared(load(path), path).predict(x).tolist() == [[105.0, 0.0]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not JSON"),
        pytest.param("[" * 99999, "is not JSON", id="deep"),
        ("[1]", "an object is needed, not list"),
        ('{"preprocess": {"scale": "two"}}', "preprocess = .* allowed: scale and offset, numbers"),
        ('{"preprocess": 3}', "preprocess = 3; allowed"),
        ('{"preprocess": {"scale": 0}}', "preprocess.scale = 0; allowed: any other number"),
        ('{"preprocess": {"scale": 2}, "layers": []}', "preprocess would change how the file is fed, but layers is no key of a"),
    ],
)
def test_a_wrong_sidecar_is_one_line(text, says, tmp_path):
    path = onnx_files.linear(tmp_path / "net.onnx")
    (tmp_path / "net.json").write_text(text)
    with pytest.raises(BadInput, match=says):
        sidecar.prepared(load(path), path)


def test_a_json_of_somebody_else_changes_nothing(tmp_path):
    path, x = onnx_files.linear(tmp_path / "net.onnx"), np.ones((3, *onnx_files.SHAPE), np.float32)
    before = sidecar.prepared(load(path), path).predict(x)
    (tmp_path / "net.json").write_text('{"scale": 3, "architecture": {"preprocess": {"scale": 2}}}')
    assert np.array_equal(sidecar.prepared(load(path), path).predict(x), before)
