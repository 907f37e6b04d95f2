"""Does an int8 ONNX file give the same predictions on a CPU without VNNI? Such a CPU is emulated, exactly where it differs.

x86 before VNNI multiplies uint8 activations by int8 weights with VPMADDUBSW: two neighbouring products are added in
16 bits and clipped at +-32,767 before the sum. With weights in 7 bits (`reduce_range`) no pair can reach that.
Source: onnxruntime.ai, Quantize ONNX models, "When and why do I need to try U8U8"; Intel SDM, VPMADDUBSW.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

N_ITEMS = 250
CHUNK = 50
FAITHFUL = 0.98  # agreement with the file that the emulation without clipping must reach
QUANTIZED = ("Conv", "Gemm", "MatMul")
Agreement = Callable[[np.ndarray, np.ndarray], float]  # of two outputs (n, ...), in [0, 1]; a kind of task has one


def portability(path: Path, x: np.ndarray, outputs: np.ndarray, agreement: Agreement) -> dict[str, Any]:
    """`portability`: agreement of the file's `outputs` (n, ...) for `x` (n, ...) with those of a CPU without VNNI; `saturable`:
    share of weight pairs that can be clipped there. Nothing for a file without uint8 x int8 convolutions or products.

    Raises ValueError when the emulation is not faithful to the file. The first N_ITEMS items are used.
    """
    import onnx

    model, pairs = _rewritten(onnx.load(path))
    if not pairs:
        return {}
    x, outputs = x[:N_ITEMS], outputs[:N_ITEMS]
    saturable = sum(risky for risky, _ in pairs) / sum(n for _, n in pairs)
    if not saturable:
        return {"portability": 1.0, "saturable": 0.0}
    unclipped = _outputs(model, x, clip=False)
    faithful = agreement(unclipped, outputs)
    if faithful < FAITHFUL:
        raise ValueError(f"the emulation agrees with the file on {100 * faithful:.0f} % of the items only")
    return {"portability": agreement(_outputs(model, x, clip=True), unclipped), "saturable": saturable}


def _outputs(model, x: np.ndarray, *, clip: bool) -> np.ndarray:
    """Outputs (n, ...) by ONNX's reference evaluator with the products below."""
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(model, new_ops=_operators(clip))
    name = model.graph.input[0].name
    return np.concatenate([evaluator.run(None, {name: x[i : i + CHUNK]})[0] for i in range(0, len(x), CHUNK)])


def _rewritten(model):
    """The model with every uint8 x int8 product as one node of `_operators`, for any batch; (risky pairs, pairs) of each."""
    from onnx import helper, numpy_helper

    weights = {w.name: numpy_helper.to_array(w) for w in model.graph.initializer}
    dequantize = {n.output[0]: n for n in model.graph.node if n.op_type == "DequantizeLinear"}
    quantizing = [node for node in model.graph.node if node.op_type == "QuantizeLinear" and len(node.input) > 2]
    dtypes = {node.output[0]: weights[node.input[2]].dtype for node in quantizing}
    nodes, pairs = [], []
    for node in model.graph.node:
        ends = [dequantize.get(name) for name in node.input[:2]]
        if node.op_type in QUANTIZED and all(ends) and _is_u8s8(ends, dtypes, weights) and not _is_depthwise(node, weights, ends):
            pairs.append(count_risky(_as_rows(node, weights[ends[1].input[0]])))
            inputs = [*_three(ends[0]), *_three(ends[1]), *node.input[2:3]]
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            node = helper.make_node(f"Clipped{node.op_type}", inputs, node.output, domain="edgebook", **attributes)
        elif node.op_type == "Reshape":
            node = _any_batch(node, weights, model)
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.opset_import.append(helper.make_opsetid("edgebook", 1))
    return model, pairs


def _three(node) -> list[str]:
    return [*node.input, ""][:3]


def _is_u8s8(ends: list, dtypes: dict, weights: dict) -> bool:
    weight = weights.get(ends[1].input[0])
    return dtypes.get(ends[0].input[0]) == np.uint8 and weight is not None and weight.dtype == np.int8


def _is_depthwise(node, weights: dict, ends: list) -> bool:
    """Depthwise convolutions have kernels of their own, which widen before they multiply."""
    group = next((a.i for a in node.attribute if a.name == "group"), 1)
    return group > 1 and weights[ends[1].input[0]].shape[1] == 1


def _any_batch(node, weights: dict, model):
    """A Reshape to (1, ...) that takes any batch: a size of 0 keeps the input's, once `allowzero` is removed."""
    from onnx import numpy_helper

    shape = weights.get(node.input[1])
    if shape is not None and shape[0] == 1:
        any_batch = np.array([0, *shape[1:]], np.int64)
        model.graph.initializer.append(numpy_helper.from_array(any_batch, f"{node.output[0]}_shape"))
        node.input[1] = f"{node.output[0]}_shape"
        for attribute in [a for a in node.attribute if a.name == "allowzero"]:
            node.attribute.remove(attribute)
    return node


def _as_rows(node, weight: np.ndarray) -> Tensor:
    """The weights as (out, k), k in the order in which the kernels add: channels innermost."""
    w = torch.from_numpy(weight.astype(np.float32))
    if node.op_type == "Conv":
        return w.flatten(2).transpose(1, 2).flatten(1)
    is_transposed = node.op_type == "Gemm" and any(a.name == "transB" and a.i for a in node.attribute)
    return w if is_transposed else w.T


def risky_pairs(rows: Tensor) -> Tensor:
    """Mask (out, k / 2) of the neighbouring weights (out, k) whose products with 255 can leave 16 bits together."""
    rows = F.pad(rows, (0, rows.shape[1] % 2)).unflatten(1, (-1, 2))
    return (255 * rows.clamp(min=0).sum(2) > 32767) | (255 * rows.clamp(max=0).sum(2) < -32768)


def count_risky(rows: Tensor) -> tuple[int, int]:
    mask = risky_pairs(rows)
    return int(mask.sum()), mask.numel()


def clipped_away(patches: Tensor, rows: Tensor) -> Tensor:
    """The change of rows @ patches (out, m) by clipping, for raw uint8 values patches (k, m) and weights rows (out, k)."""
    odd = rows.shape[1] % 2
    pairs = F.pad(patches, (0, 0, 0, odd)).unflatten(0, (-1, 2))  # (k / 2, 2, m)
    weights = F.pad(rows, (0, odd)).unflatten(1, (-1, 2))
    change, risky = torch.zeros(len(rows), patches.shape[1]), risky_pairs(rows)
    for pair in risky.any(0).nonzero().flatten().tolist():
        outs = risky[:, pair].nonzero().flatten()
        sums = torch.addmm(torch.zeros(()), weights[outs, pair], pairs[pair])  # (outs, m), whole numbers: exact in float32
        change.index_add_(0, outs, sums.clamp(-32768, 32767).sub_(sums))
    return change


def _operators(clip: bool) -> list[type]:
    """The three products for ONNX's evaluator (inputs x, its scale and zero point, w, its scale and zero point, bias), and a
    fast convolution for what stays float.
    """
    from onnx.reference.op_run import OpRun

    def conv(self, x, x_scale, x_zero, w, w_scale, w_zero=None, bias=None, **attributes):
        x, x_zero, w, w_zero = map(_tensor, (x, x_zero, w, w_zero))
        return (clipped_conv(x, x_zero, w, w_zero, np.asarray(x_scale * w_scale), bias, clip, vars(self)),)

    def product(self, x, x_scale, x_zero, w, w_scale, w_zero=None, bias=None, **attributes):
        w, w_zero = (w.T, w_zero) if getattr(self, "transB", 0) else (w, w_zero)
        x, x_zero, w, w_zero = map(_tensor, (x, x_zero, w, w_zero))
        sums = (x - x_zero) @ (w - w_zero)
        if clip:
            sums += clipped_away(x.flatten(0, -2).T.contiguous(), w.T).T.reshape(sums.shape)
        real = sums.numpy() * np.asarray(x_scale * w_scale, np.float32)
        return (real if bias is None else real + bias,)

    def depthwise(self, x, w, bias=None, **attributes):  # ONNX's own evaluator takes one group after the other
        x, w, zero = map(_tensor, (x, w, None))
        return (clipped_conv(x, zero, w, zero, np.ones(()), bias, False, vars(self)),)

    runs = {"ClippedConv": conv, "ClippedGemm": product, "ClippedMatMul": product, "Conv": depthwise}
    domains = {name: "" if name == "Conv" else "edgebook" for name in runs}
    return [type(name, (OpRun,), {"op_domain": domains[name], "_run": run}) for name, run in runs.items()]


def _tensor(values: np.ndarray | None) -> Tensor:
    return torch.zeros(()) if values is None else torch.from_numpy(np.asarray(values, np.float32))


def clipped_conv(x, x_zero, w, w_zero, scale, bias, clip: bool, attributes: dict) -> np.ndarray:
    """Float output of an integer convolution, (n, out, ...): x (n, c, h, w) or (n, c, t), raw; padding is the zero point."""
    flat = x.ndim == 3
    spatial = x.ndim - 2
    pads = list(attributes.get("pads") or [0] * 2 * spatial)
    strides, dilations = (tuple(attributes.get(key) or [1] * spatial) for key in ("strides", "dilations"))
    around = [pad for axis in reversed(range(spatial)) for pad in (pads[axis], pads[axis + spatial])]
    x, groups = F.pad(x, around, value=float(x_zero)), attributes.get("group") or 1
    w_zero = w_zero.view(-1, *[1] * (w.ndim - 1)) if w_zero.ndim else w_zero
    conv = F.conv1d if flat else F.conv2d
    sums = conv(x - x_zero, w - w_zero, stride=strides, dilation=dilations, groups=groups)
    if clip:
        wide, strides, dilations = (x.unsqueeze(2), (1, *strides), (1, *dilations)) if flat else (x, strides, dilations)
        kernel = (1, *w.shape[2:]) if flat else tuple(w.shape[2:])
        for g, (part, rows) in enumerate(zip(wide.chunk(groups, 1), w.chunk(groups, 0), strict=True)):
            patches = F.unfold(part, kernel, dilation=dilations, stride=strides)  # (n, c * k, places)
            patches = (
                patches.unflatten(1, (part.shape[1], -1)).permute(2, 1, 0, 3).flatten(0, 1).flatten(1)
            )  # (k * c, n * places)
            change = clipped_away(patches, rows.flatten(2).transpose(1, 2).flatten(1))
            out = sums[:, g * len(rows) : (g + 1) * len(rows)]
            out += change.unflatten(1, (len(x), -1)).transpose(0, 1).reshape(out.shape)
    real = sums.numpy() * np.asarray(scale, np.float32).reshape(-1, *[1] * spatial)
    return real if bias is None else real + bias.reshape(-1, *[1] * spatial)
