"""ONNX files written by hand: one product of weights, and one that never ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SHAPE, CLASSES = (2, 4, 4), 3
WEIGHT = np.random.default_rng(0).standard_normal((32, CLASSES)).astype(np.float32)


def save(path: Path, nodes, shape, kind=TensorProto.FLOAT, weights=(), outputs=(1, CLASSES), output=TensorProto.FLOAT) -> Path:
    """An ONNX file of these nodes: input x, output y."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", output, None if output != TensorProto.FLOAT else outputs)],
        [numpy_helper.from_array(array, name) for name, array in weights],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("nowhere", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def linear(path: Path, shape=(1, *SHAPE), channels_last=False, weight=WEIGHT) -> Path:
    """Flatten and multiply."""
    first = [helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2])] if channels_last else []
    source, shape = ("t", (1, *SHAPE[1:], SHAPE[0])) if channels_last else ("x", shape)
    nodes = [*first, helper.make_node("Flatten", [source], ["f"]), helper.make_node("MatMul", ["f", "w"], ["y"])]
    return save(path, nodes, shape, weights=[("w", weight)])


def endless(path: Path) -> Path:
    """A loop of 2^60 turns: a runtime that hangs."""
    condition = helper.make_tensor_value_info("c", TensorProto.BOOL, ())
    value, turned = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("v", "v2"))
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["c2"]), helper.make_node("Sin", ["v"], ["v2"])],
        "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, ()), condition, value],
        [helper.make_tensor_value_info("c2", TensorProto.BOOL, ()), turned],
    )
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["m"]),
        helper.make_node("Loop", ["n", "go", "m"], ["y"], body=body),
    ]
    weights = [("w", WEIGHT), ("n", np.array(2**60, np.int64)), ("go", np.array(True))]
    return save(path, nodes, (1, *SHAPE), weights=weights)
