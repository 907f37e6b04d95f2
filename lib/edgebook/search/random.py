"""Random search: the control of every other method."""

from __future__ import annotations

import numpy as np

from edgebook.search.history import Draw, History
from edgebook.search.space import AnySpace


def random_search(space: AnySpace, history: History, rng: np.random.Generator) -> Draw:
    """Draws members of the space, whatever was seen before."""
    return lambda: (space.sample(rng), {})
