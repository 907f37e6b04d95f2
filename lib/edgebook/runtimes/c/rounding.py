"""How a network's sums become int8: which kernels, and the integers that stand for its real factors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebook.runtimes.c.fixed_point import FULL, common_shift, fixed, multiplier, once, shifted
from edgebook.runtimes.c.steps import Convolution, Copy, Elementwise, Fill, Lookup, Mean, Network, Pool, Step, Weighted

PROFILES = ("single", "gemmlowp")


@dataclass(frozen=True)
class Rounding:
    """`right`: the shift that all layers share, in the fast kernels of the single profile; None where each factor has its own."""

    profile: str
    kernels: tuple[str, ...]
    right: int | None

    @property
    def factor_bytes(self) -> int:
        """Bytes of one scale_t: an integer, with its shift where it has one of its own."""
        return 8 if self.right is None else 4

    def factors(self, scales: np.ndarray) -> list[str]:
        """The initializers of scale_t for a layer's factors, one where all are equal."""
        if self.right is None:
            return [pair(float(scale)) for scale in once(scales)]
        return [str(fixed(float(scale), self.right)) for scale in once(scales)]

    def factor(self, scale: float) -> tuple[str, int]:
        """The initializer of one scale_t, and how far the sum is shifted to the left before."""
        if self.right is None:
            return pair(scale), 0
        m, left = shifted(scale, self.right)
        return str(m), left


def pair(scale: float) -> str:
    """A factor with a shift of its own as a C initializer."""
    m, right = multiplier(scale)
    return f"{{{m}, {right}}}"


def choose(network: Network, profile: str) -> Rounding:
    """The kernels that scale and clamp, as simple as the network's numbers allow."""
    clamp = "clamp_full" if all(_fills_int8(step) for step in network.steps) else "clamp"
    if profile == "gemmlowp":
        return Rounding(profile, (clamp, "scale_gemmlowp"), None)
    layers = [step for step in network.steps if isinstance(step, Weighted)]
    if layers:
        scales = np.concatenate([np.broadcast_to(step.scales, step.bias.shape) for step in layers])
        right = common_shift(scales, np.concatenate([_largest_sums(step) for step in layers]))
    else:
        right = None
    singles = [single_factor(step) for step in network.steps if single_factor(step)]
    if right is None or any(largest << shifted(scale, right)[1] >= FULL for scale, largest in singles):
        return Rounding(profile, (clamp, "scale_single"), None)
    return Rounding(profile, (clamp, "high_product", "scale_fast"), right)


def _fills_int8(step: Step) -> bool:
    """Whether no activation limits the outputs."""
    if isinstance(step, Lookup | Copy | Fill):
        return True
    limits = step if isinstance(step, Pool) else step.out
    return (limits.low, limits.high) == (-128, 127)


def _largest_sums(step: Weighted) -> np.ndarray:
    """How large the sum of each output channel can be."""
    taps = 1 if isinstance(step, Convolution) else 0
    return 128 * np.abs(step.weights.astype(np.int64)).sum(taps) + np.abs(step.bias.astype(np.int64))


def single_factor(step: Step) -> tuple[float, int] | None:
    """The one real factor of a mean or a product and how large its sum can be; None for other steps."""
    if isinstance(step, Mean):
        return step.scale_in / step.out.scale / step.divisor, step.count << 8
    if isinstance(step, Elementwise) and step.kind == "MUL":
        return step.scale_first * step.scale_second / step.out.scale, 1 << 16
    return None
