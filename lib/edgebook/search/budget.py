"""Whether a budget can be met at all, said before anything is trained."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgebook.errors import BadInput
from edgebook.models.genotype import Genotype
from edgebook.models.macs import count_macs, count_params
from edgebook.models.searched import searched
from edgebook.search.history import Aim, excess
from edgebook.search.space import AnySpace

N_OUTPUTS = 10  # for the ranking of members by size only


def check_reachable(
    space: AnySpace,
    limits: dict[str, float],
    cost: Callable[[Genotype], dict[str, float]],
    *,
    n_samples: int = 8,
    seed: int = 0,
) -> Genotype:
    """A member whose costs meet all limits, so that the search can start.

    cost: genotype -> figures of the untrained net, which include the limited ones. Tried are the smallest members, by
    parameters and by multiply-accumulates, then random ones, from small to large. Raises BadInput that names the limits that
    bind and by how much, when none meets them; a member between those that were tried could still do so.
    """
    Aim(limits=limits)
    tried = []
    for genotype in (*smallest(space), *_samples(space, n_samples, seed)):
        tried.append((excess(cost(genotype), limits), genotype))
        if max(tried[-1][0].values(), default=0.0) <= 0:
            return genotype
    if not tried:
        raise BadInput(f"search space: no member can be built for input_shape {space.input_shape}")
    over, nearest = min(tried, key=lambda pair: max(pair[0].values()))
    binding = [f"{name} = {limits[name] * (1 + share):g} of {limits[name]:g}" for name, share in over.items() if share > 0]
    raise BadInput(f"search: no member of {len(tried)} tried meets the budget; nearest: {', '.join(binding)} ({nearest})")


def smallest(space: AnySpace) -> list[Genotype]:
    """The members with the fewest parameters and with the fewest multiply-accumulates among the small members of the space;
    empty where it has none.
    """
    sizes = {genotype: _size(space, genotype) for genotype in space.small_members()}
    if not sizes:
        return []
    return list(dict.fromkeys(min(sizes, key=lambda genotype: sizes[genotype][kind]) for kind in (0, 1)))


def _samples(space: AnySpace, n: int, seed: int) -> list[Genotype]:
    rng = np.random.default_rng(seed)
    return sorted((space.decode(space.sample(rng)) for _ in range(n)), key=lambda genotype: _size(space, genotype))


def _size(space: AnySpace, genotype: Genotype) -> tuple[int, int]:
    net = searched(space.input_shape, N_OUTPUTS, genotype=str(genotype))
    return count_params(net), count_macs(net, space.input_shape)
