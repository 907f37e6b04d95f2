"""Weights below 8 bits, found by counting: a layer whose int8 weights take few values is stored as places in a codebook."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebook.runtimes.c.steps import Convolution, Network, Weighted

BITS = (1, 2, 4)
CODE_BYTES = 600  # of the kernels that decode; packing has to save more than they cost
ORDER = (0, 2, 1, 3)  # of the taps of each four, as the instruction SXTB16 pairs them


@dataclass(frozen=True, eq=False)
class Packed:
    """A layer's weights (rows, taps) as `bits` per weight: `data` has every row in whole bytes, `codebook` the int8 values."""

    bits: int
    codebook: np.ndarray
    data: np.ndarray
    row: int  # taps with padding


def find(network: Network) -> dict[int, Packed]:
    """The layers of a network, by the number of their step, that fit into 1, 2 or 4 bits; none where it saves too little."""
    packed = {}
    for index, step in enumerate(network.steps):
        if isinstance(step, Weighted):
            rows = step.weights if isinstance(step, Convolution) else step.weights.reshape(1, -1)
            layer = pack(rows)
            if layer and layer.data.size + layer.codebook.size < step.weights.size:
                packed[index] = layer
    saved = sum(network.steps[i].weights.size - layer.data.size - layer.codebook.size for i, layer in packed.items())
    return packed if saved > CODE_BYTES else {}


def pack(weights: np.ndarray) -> Packed | None:
    """The int8 weights (rows, taps) in as few bits as their distinct values need, lossless; None for more than 16 values."""
    codebook, places = np.unique(weights, return_inverse=True)
    bits = next((bits for bits in BITS if len(codebook) <= 1 << bits), None)
    if bits is None:
        return None
    taps = weights.shape[1]
    row = taps + -taps % (8 if bits == 1 else 4)
    padded = np.zeros((len(weights), row), np.uint8)
    padded[:, :taps] = places.reshape(weights.shape)
    ordered = padded.reshape(len(weights), -1, 4)[:, :, ORDER].reshape(len(weights), -1, 8 // bits)
    data = (ordered << (np.arange(8 // bits, dtype=np.uint8) * bits)).sum(-1, dtype=np.uint8)
    return Packed(bits, np.concatenate([codebook, np.zeros((1 << bits) - len(codebook), np.int8)]), data.view(np.int8), row)


def unpack(packed: Packed, taps: int) -> np.ndarray:
    """The int8 weights (rows, taps) again."""
    per_byte = 8 // packed.bits
    places = packed.data.view(np.uint8)[..., None] >> (np.arange(per_byte, dtype=np.uint8) * packed.bits) & (
        (1 << packed.bits) - 1
    )
    ordered = places.reshape(len(packed.data), -1, 4)[:, :, np.argsort(ORDER)]
    return packed.codebook[ordered.reshape(len(packed.data), -1)[:, :taps]]


def weight_bits(network: Network) -> float:
    """Bits per weight as they are stored, mean over all weights of convolutions and dense layers."""
    packed, bits, n = find(network), 0, 0
    for index, step in enumerate(network.steps):
        if isinstance(step, Weighted):
            bits += step.weights.size * (packed[index].bits if index in packed else 8)
            n += step.weights.size
    return bits / max(n, 1)
