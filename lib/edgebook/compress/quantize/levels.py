"""The values that a layer's weights may take: cluster centres, powers of two, or an even grid per channel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from edgebook import affine

N_BINS = 1024  # of a histogram of weights
TRAINING_STEPS = 6  # of Lloyd's algorithm, as many as each training step can afford


@dataclass(frozen=True)
class Levels:
    """How a weight tensor is rounded to at most 2^bits values: (tensor, bits) -> tensor.

    in_training: the same, cheaper, for every step of training. fewest_bits: fewer make no sense.
    """

    round: Callable[[Tensor, int], Tensor]
    in_training: Callable[..., Tensor]
    fewest_bits: int


def kmeans(w: Tensor, bits: int, *, steps: int = 100) -> Tensor:
    """The tensor with every value replaced by its cluster's centre, a float16 number.

    Lloyd's algorithm in one dimension, once from evenly spaced centres and once from centres spaced by density; the result
    with the smaller squared error is returned.
    """
    flat = w.flatten().double()
    if len(values := flat.unique()) <= 2**bits:
        return _to_centres(flat, values).view_as(w)
    even = torch.linspace(flat.min(), flat.max(), 2**bits, dtype=torch.double)
    rounded = [_to_centres(flat, _lloyd(flat, start, steps)) for start in (even, _by_density(flat, 2**bits))]
    return min(rounded, key=lambda values: (values - flat).square().sum()).view_as(w)


def kmeans_channel(w: Tensor, bits: int, *, steps: int = 100) -> Tensor:
    """Centres that the whole layer shares, under a scale for each output channel (axis 0): each channel's largest weight is at
    an end.

    The centres are multiples of 1/127, so that the weights of an int8 file with a scale per channel take at most 2^bits
    integers per layer. Batch norm has to be folded before: it would turn the sign of some channels.
    """
    flat = w.flatten(1).double()
    scale = flat.abs().amax(1, keepdim=True).clamp(min=2.0**-14)
    shares = (flat / scale).flatten()
    centres = _lloyd(shares, torch.linspace(-1, 1, 2**bits, dtype=torch.double), steps)
    centres[0], centres[-1] = -1, 1
    centres = (centres * 127).round() / 127
    return (centres[nearest(shares, centres)].view_as(flat) * scale).float().view_as(w)


def _by_density(flat: Tensor, n: int) -> Tensor:
    """Centres as dense as the cube root of the values' density, optimal for many centres. Source: Panter and Dite 1951."""
    low, high = flat.min(), flat.max()
    density = torch.histc(flat.float(), N_BINS).double().pow(1 / 3).cumsum(0)
    places = torch.searchsorted(density, (torch.arange(n) + 0.5) / n * density[-1])
    return low + (places + 0.5) / N_BINS * (high - low)


def _lloyd(flat: Tensor, centres: Tensor, steps: int) -> Tensor:
    for _ in range(steps):
        index = nearest(flat, centres)
        count = torch.bincount(index, minlength=len(centres))
        total = torch.bincount(index, flat, minlength=len(centres))
        moved = torch.where(count > 0, total / count.clamp(min=1), centres).sort().values
        if torch.equal(moved, centres):
            break
        centres = moved
    return centres


def _to_centres(flat: Tensor, centres: Tensor) -> Tensor:
    centres = centres.half().double()
    return centres[nearest(flat, centres)].float()


def nearest(values: Tensor, centres: Tensor) -> Tensor:
    """Index of the nearest of the sorted centres, (n,)."""
    return torch.bucketize(values, (centres[1:] + centres[:-1]) / 2)


def log2(w: Tensor, bits: int) -> Tensor:
    """Zero and 2^(bits - 1) - 1 powers of two of each sign; the largest is the one nearest to the largest weight."""
    if not w.abs().max() > 0:
        return w.clone()
    top = torch.floor(torch.log2(4 * w.abs().max() / 3))
    powers = 2.0 ** (top - torch.arange(2 ** (bits - 1) - 1))
    powers = powers[powers >= 2.0**-24]  # the smallest float16
    centres = torch.cat([-powers, torch.zeros(1), powers.flip(0)])
    return centres[nearest(w.flatten(), centres)].view_as(w)


def linear(w: Tensor, bits: int) -> Tensor:
    """Even steps from -top to top for each output channel (axis 0), with a float16 scale."""
    top = affine.limits(bits, symmetric=True)[1]
    flat = w.flatten(1)
    scale = (flat.abs().amax(1, keepdim=True) / top).half().float().clamp(min=2.0**-14)
    return ((flat / scale).round().clamp(-top, top) * scale).view_as(w)


KMEANS = Levels(kmeans, partial(kmeans, steps=TRAINING_STEPS), fewest_bits=1)
KMEANS_CHANNEL = Levels(kmeans_channel, partial(kmeans_channel, steps=TRAINING_STEPS), fewest_bits=1)
LINEAR = Levels(linear, linear, fewest_bits=2)
LOG2 = Levels(log2, log2, fewest_bits=2)
