"""What happens to inputs in the field, at five severities: sensors are noisy, out of focus, too bright, absent, late.

Severities are shares of what the data themselves vary, so that they mean the same for images and for signals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edgebook.errors import BadInput
from edgebook.registry import pick

Array = np.ndarray
Corruption = Callable[[Array, float, np.random.Generator], Array]
SEVERITIES = (1, 2, 3, 4, 5)


def noise(x: Array, amount: float, rng: np.random.Generator) -> Array:
    """White noise of `amount` standard deviations of the items."""
    return x + amount * x.std() * rng.standard_normal(x.shape, dtype=np.float32)


def blur(x: Array, amount: float, rng: np.random.Generator) -> Array:
    """A Gaussian blur of deviation `amount` of the length of each axis after the channels, at least a third of a step."""
    from scipy.ndimage import gaussian_filter  # slow to import

    return gaussian_filter(x, [0, 0, *(max(amount * length, 1 / 3) for length in x.shape[2:])])


def brightness(x: Array, amount: float, rng: np.random.Generator) -> Array:
    """Every value higher by `amount` standard deviations of the items."""
    return x + amount * x.std()


def dropout(x: Array, amount: float, rng: np.random.Generator) -> Array:
    """A stretch of the last axis, `amount` of its length (at least one step), at the mean of the items: the sensor was away."""
    length = x.shape[-1]
    start = rng.integers(0, length, (len(x), *[1] * (x.ndim - 1)))
    is_away = (np.arange(length) - start) % length < max(1, round(amount * length))
    return np.where(is_away, x.mean(), x)


def shift(x: Array, amount: float, rng: np.random.Generator) -> Array:
    """Each item moved along the last axis by `amount` of its length (at least one step), either way; what leaves it comes in on
    the other side.
    """
    places = max(1, round(amount * x.shape[-1]))
    later, earlier = np.roll(x, places, -1), np.roll(x, -places, -1)
    return np.where(rng.random((len(x), *[1] * (x.ndim - 1))) < 0.5, later, earlier)


CORRUPTIONS: dict[str, tuple[Corruption, Sequence[float]]] = {  # amount at severities 1 to 5
    "noise": (noise, (0.1, 0.2, 0.4, 0.6, 1.0)),
    "blur": (blur, (0.01, 0.02, 0.03, 0.05, 0.08)),
    "brightness": (brightness, (0.1, 0.25, 0.5, 0.75, 1.0)),
    "dropout": (dropout, (0.05, 0.1, 0.15, 0.25, 0.4)),
    "shift": (shift, (0.025, 0.05, 0.075, 0.1, 0.15)),
}
ATTACK = "fgsm"  # made with a network, see `experiment.robustness`
CHOICES = {**{name: f"edgebook.tasks.corruptions:{name}" for name in CORRUPTIONS}, ATTACK: "edgebook.experiment.robustness:fgsm"}
ALONG_AN_AXIS = ("blur", "dropout", "shift")


def check(name: str, input_shape: Sequence[int]) -> None:
    """Raises BadInput for an unknown corruption, or for one that items of this shape cannot have."""
    pick(CORRUPTIONS, name, "corruption")
    if len(input_shape) < 2 and name in ALONG_AN_AXIS:
        possible = ", ".join(other for other in CORRUPTIONS if other not in ALONG_AN_AXIS)
        raise BadInput(f"corruption {name}: items of shape {tuple(input_shape)} have no time or space; allowed: {possible}")


def corrupt(x: Array, name: str, severity: int, *, seed: int = 0) -> Array:
    """The items (n, ...) as float32, corrupted; the same for the same seed. Severity 0 changes nothing, 5 is the worst.

    Raises BadInput, see `check`. Source: Hendrycks and Dietterich 2019, arXiv 1903.12261, for the five severities.
    """
    check(name, x.shape[1:])
    if severity not in (0, *SEVERITIES):
        raise BadInput(f"severity = {severity!r}; allowed: 0 to {SEVERITIES[-1]}")
    if severity == 0:
        return np.array(x, np.float32)
    apply, amounts = CORRUPTIONS[name]
    rng = np.random.default_rng([seed, *name.encode(), severity])
    return np.asarray(apply(np.asarray(x, np.float32), amounts[severity - 1], rng), np.float32)
