"""Files of networks that were trained quantized, with uint8 activations: signed ones are slow on x86."""

from __future__ import annotations

import numpy as np


def unsigned_activations(model):
    """The same numbers with uint8 activations: every int8 zero point moved up by 128, and no ReLU whose result is then
    quantized from zero on. Signed activations leave most convolutions float on x86, at twice the time.
    """
    import onnx

    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    quantizing = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    sources = {node.output[0] for node in quantizing}
    moved = {}
    for node in model.graph.node:
        of_activation = node in quantizing or (node.op_type == "DequantizeLinear" and node.input[0] in sources)
        if of_activation and values[node.input[2]].dtype == np.int8:
            zero_point = values[node.input[2]].astype(np.int16) + 128
            moved[f"{node.input[2]}_u8"] = zero_point.astype(np.uint8)
            node.input[2] = f"{node.input[2]}_u8"
    model.graph.initializer.extend(onnx.numpy_helper.from_array(zero_point, name) for name, zero_point in moved.items())
    model.graph.ClearField("value_info")  # it has the int8 types
    _drop_relus(model, moved)
    used = {name for node in model.graph.node for name in node.input}
    for tensor in [tensor for tensor in model.graph.initializer if tensor.name not in used]:
        model.graph.initializer.remove(tensor)
    return model


def _drop_relus(model, zero_points: dict[str, np.ndarray]) -> None:
    """Remove each ReLU that only QuantizeLinears with zero point 0 read: they clip negative values themselves."""
    for relu in [node for node in model.graph.node if node.op_type == "Relu"]:
        readers = [node for node in model.graph.node if relu.output[0] in node.input]
        if readers and all(r.op_type == "QuantizeLinear" and not zero_points[r.input[2]].any() for r in readers):
            for reader in readers:
                reader.input[0] = relu.input[0]
            model.graph.node.remove(relu)
