"""Why LiteRT refuses an integer file: XNNPACK's own message names a delegate, not the operator."""

from __future__ import annotations

from typing import Any

from edgebook.runtimes.litert.flatbuffer import operator_name, read

RATIOS = (2.0**-32, 256.0)  # of an operator's scales, between which XNNPACK has integer arithmetic (requantization scale)


def why_refused(data: bytes) -> str | None:
    """The first operator of a file whose scales no integer arithmetic has, with what to do; None where there is none."""
    model = read(data)
    graph = model.subgraphs[0]
    for number, operator in enumerate(graph.operators):
        inputs = [_scale(graph.tensors[index]) for index in operator.inputs[:2] if index >= 0]
        outputs = [_scale(graph.tensors[index]) for index in operator.outputs[:1]]
        scales = [scale for scale in inputs if scale]
        if not scales or not outputs or not outputs[0]:
            continue
        name = operator_name(model.operatorCodes[operator.opcodeIndex])
        ratio = (scales[0] * scales[1] if len(scales) == 2 and name in PRODUCTS else max(scales)) / outputs[0]
        if not RATIOS[0] <= ratio < RATIOS[1]:
            layer = graph.tensors[operator.outputs[0]].name.decode().rpartition(";;")[2]
            flat = f"{name} (operator {number}) gives nearly the same number for all calibration items (scale {outputs[0]:.1e})"
            return f"{flat}; train the network further, or leave this operator in float: per_layer: {{{layer!r}: fp32}}"
    return None


def _scale(tensor: Any) -> float | None:
    """The largest scale of a tensor; None for one without."""
    scale = tensor.quantization.scale if tensor.quantization is not None else None
    return None if scale is None or not len(scale) else float(max(scale))


PRODUCTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "BATCH_MATMUL", "MUL")
