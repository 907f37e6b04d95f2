"""A net's latency from its layers: coefficients fitted once to measured files, then a sum that takes milliseconds to compute.

A table belongs to one machine, one runtime and one precision. Kernels work in blocks: 17 output channels cost as much as 32
where a block has 16. Work is therefore counted in whole blocks, and the block sizes are those that predict best. Every layer
costs its call, its blocks of multiply-accumulates, and its outputs; the file costs one call more.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import nnls
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from edgebook.errors import BadInput, Unsupported

Features = dict[str, float]
BLOCKS = tuple(itertools.product((1, 8, 16, 32), (1, 4, 8)))  # (output channels, input channels) of a kernel's block
N_FOLDS = 5
# no operator of an exported file, or part of the one before
FREE = {"relu", "hardtanh", "native_batch_norm", "empty", "zeros", "clone", "dropout", "t", "squeeze", "unsqueeze"}


@dataclass(frozen=True)
class Layer:
    """One operator of a file, for one item: channels, kernel positions, and positions of its input's and its output's map."""

    kind: str
    c_in: int
    c_out: int
    kernel: int = 1
    n_in: int = 1
    n_out: int = 1


@dataclass(frozen=True)
class LatencyTable:
    """Milliseconds per unit of each feature. `median_error`, `worst_error`: relative, by cross-validation over `n_files`.

    `dataclasses.asdict` gives plain data, `LatencyTable(**data)` the table again.
    """

    ms_per_unit: dict[str, float]
    block_out: int
    block_in: int
    n_files: int
    median_error: float
    worst_error: float


def layers_of(model: nn.Module, input_shape: tuple[int, ...]) -> list[Layer]:
    """The operators of the model's file, in order, from one forward pass in eval mode.

    Raises Unsupported for an operator that the table does not know.
    """
    was_training, recorder = model.training, _Recorder()
    try:
        with torch.no_grad(), recorder:
            model.eval()(torch.zeros(1, *input_shape))
    finally:
        model.train(was_training)
    return recorder.layers


class _Recorder(TorchDispatchMode):
    """Notes every operator that runs inside it."""

    def __init__(self):
        super().__init__()
        self.layers: list[Layer] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        output = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name in OPERATORS:
            self.layers += OPERATORS[name](args, output)
        elif name not in FREE:
            raise Unsupported(f"latency table: operator {name}; it has {', '.join(sorted(OPERATORS))}")
        return output


def fit(nets: Sequence[Sequence[Layer]], ms: Sequence[float]) -> LatencyTable:
    """The table that fits measured milliseconds best, with non-negative coefficients and relative errors.

    Block sizes are chosen by cross-validation over the nets. 30 nets predicted unseen ones within 3.4 % (median), 60 within
    2.5 % (LiteRT static int8, x86-64, XNNPACK). Raises BadInput for fewer than 10 nets or a time that is not above zero.
    """
    times = np.asarray(ms, dtype=float)
    if len(nets) != len(times) or len(nets) < 2 * N_FOLDS:
        raise BadInput(f"latency table: {len(nets)} nets and {len(times)} times; allowed: as many, at least {2 * N_FOLDS}")
    if not np.all(np.isfinite(times) & (times > 0)):
        raise BadInput("latency table: a time is not above zero; allowed: milliseconds of files that ran")
    errors = {blocks: _cross_validated(nets, times, blocks) for blocks in BLOCKS}
    best = min(errors, key=lambda blocks: float(np.mean(errors[blocks])))
    names, coefficients = _solve([_features(net, best) for net in nets], times)
    relative = errors[best]
    per_unit = dict(zip(names, map(float, coefficients), strict=True))
    return LatencyTable(per_unit, *best, len(nets), float(np.median(relative)), float(relative.max()))


def predict(table: LatencyTable, layers: Sequence[Layer]) -> float:
    """Milliseconds of a net, an estimate. Raises Unsupported where the table was fitted without one of its kinds of layer."""
    features = _features(layers, (table.block_out, table.block_in))
    if absent := sorted(features.keys() - table.ms_per_unit.keys()):
        raise Unsupported(f"latency table: fitted without {', '.join(absent)}; it has {', '.join(sorted(table.ms_per_unit))}")
    return sum(table.ms_per_unit[name] * value for name, value in features.items())


def error_report(table: LatencyTable, nets: Sequence[Sequence[Layer]], ms: Sequence[float]) -> dict[str, float]:
    """Relative errors on measured files, best ones that the fit has not seen: median, p90, worst, bias, n."""
    relative = np.array([predict(table, net) for net in nets]) / np.asarray(ms, dtype=float) - 1
    sizes = np.abs(relative)
    return {
        "median": float(np.median(sizes)),
        "p90": float(np.quantile(sizes, 0.9)),
        "worst": float(sizes.max()),
        "bias": float(np.mean(relative)),
        "n": len(sizes),
    }


def _cross_validated(nets: Sequence[Sequence[Layer]], times: np.ndarray, blocks: tuple[int, int]) -> np.ndarray:
    """The relative error on every net, predicted by a fit without it."""
    features = [_features(net, blocks) for net in nets]
    folds = np.random.default_rng(0).permutation(len(nets)) % N_FOLDS
    errors = np.zeros(len(nets))
    for fold in range(N_FOLDS):
        inside = [features[number] for number in np.flatnonzero(folds != fold)]
        names, coefficients = _solve(inside, times[folds != fold])
        for number in np.flatnonzero(folds == fold):
            predicted = sum(features[number].get(name, 0.0) * ms for name, ms in zip(names, coefficients, strict=True))
            errors[number] = abs(predicted / times[number] - 1)
    return errors


def _solve(features: list[Features], times: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Non-negative coefficients by least squares of the relative errors; columns are scaled, which keeps it well-conditioned."""
    names = sorted({name for net in features for name in net})
    matrix = np.array([[net.get(name, 0.0) for name in names] for net in features])
    scale = matrix.max(0)
    coefficients, _ = nnls(matrix / scale / times[:, None], np.ones(len(times)))
    return names, coefficients / scale


def _features(layers: Sequence[Layer], blocks: tuple[int, int]) -> Features:
    """What a net's time is a weighted sum of."""
    total: Counter[str] = Counter({"file": 1.0})
    for layer in layers:
        total.update(FEATURES[layer.kind](layer, *blocks))
    return dict(total)


def _conv_features(layer: Layer, block_out: int, block_in: int) -> Features:
    wide = "conv" if layer.kernel > 1 else "conv1"
    n_blocks = math.ceil(layer.c_out / block_out)
    macs = layer.n_out * layer.kernel * _whole(layer.c_in, block_in) * n_blocks * block_out
    positions = layer.n_out * layer.kernel * n_blocks  # the kernel looks up an address for each
    outputs = layer.n_out * layer.c_out
    return {wide: 1.0, f"{wide}.macs": macs, f"{wide}.positions": positions, f"{wide}.outputs": outputs}


def _depthwise_features(layer: Layer, block_out: int, block_in: int) -> Features:
    outputs = layer.n_out * _whole(layer.c_out, block_out)
    return {"depthwise": 1.0, "depthwise.macs": outputs * layer.kernel, "depthwise.outputs": outputs}


def _dense_features(layer: Layer, block_out: int, block_in: int) -> Features:
    return {"dense": 1.0, "dense.macs": layer.c_in * _whole(layer.c_out, block_out)}


def _copy_features(layer: Layer, block_out: int, block_in: int) -> Features:
    return {layer.kind: 1.0, f"{layer.kind}.values": max(layer.n_in * layer.c_in, layer.n_out * layer.c_out)}


def _whole(channels: int, block: int) -> int:
    return math.ceil(channels / block) * block


FEATURES: dict[str, Callable[[Layer, int, int], Features]] = {
    "conv": _conv_features,
    "depthwise": _depthwise_features,
    "dense": _dense_features,
    **dict.fromkeys(("pad", "transpose", "add", "cat", "pool"), _copy_features),
}


def _convolution(args: tuple, output: torch.Tensor) -> list[Layer]:
    x, weight, _, stride, padding, _, _, _, groups = args[:9]
    kind = "depthwise" if groups > 1 else "conv"
    layer = Layer(kind, x.shape[1], weight.shape[0], _positions(weight), _positions(x), _positions(output))
    sides = zip(x.shape[2:], output.shape[2:], weight.shape[2:], stride, padding, strict=True)
    # LiteRT pads by an operator of its own where more goes before the map than behind it
    if all(max((out - 1) * step + kernel - side, 0) == 2 * pad for side, out, kernel, step, pad in sides):
        return [layer]
    padded = math.prod(side + 2 * pad for side, pad in zip(x.shape[2:], padding, strict=True))
    return [Layer("pad", x.shape[1], x.shape[1], 1, _positions(x), padded), layer]


def _same_size(kind: str) -> Callable[[tuple, torch.Tensor], list[Layer]]:
    return lambda args, y: [Layer(kind, y.shape[1], y.shape[1], 1, _positions(y), _positions(y))]


def _pool(args: tuple, output: torch.Tensor | tuple) -> list[Layer]:
    x, y = args[0], output[0] if isinstance(output, tuple) else output
    return [Layer("pool", x.shape[1], x.shape[1], 1, _positions(x), _positions(y))]


def _view(args: tuple, output: torch.Tensor) -> list[Layer]:
    """Flattening a map turns it from channels last to channels first; other views are free."""
    x = args[0]
    is_turned = x.ndim > 2 and output.ndim == 2 and _positions(x) > 1
    return [Layer("transpose", x.shape[1], x.shape[1], 1, _positions(x), _positions(x))] if is_turned else []


def _dense(args: tuple, output: torch.Tensor) -> list[Layer]:
    return [Layer("dense", args[1].shape[1], output.shape[1])]


def _positions(tensor: torch.Tensor) -> int:
    """Positions of a map or of a kernel: the sizes behind the two of channels."""
    return math.prod(tensor.shape[2:])


OPERATORS: dict[str, Callable[[tuple, torch.Tensor], list[Layer]]] = {
    "convolution": _convolution,
    "addmm": _dense,
    **dict.fromkeys(("view", "_unsafe_view", "reshape"), _view),
    "add": _same_size("add"),
    "cat": _same_size("cat"),
    **dict.fromkeys(("mean", "_adaptive_avg_pool2d", "avg_pool2d", "max_pool2d_with_indices"), _pool),
}
