"""Search spaces: which genotypes are allowed, and the genes (name -> value) that random search and evolution work on.

A space has `input_shape`, `genes` (name -> the allowed values), `decode(genes) -> Genotype`, `encode(genotype) -> genes`,
`sample(rng) -> genes` and `small_members() -> genotypes`. `Space` has a gene for every property of every block. `BitSpace` is the
plain binary string of the textbook genetic algorithm: a fixed list of optional layers, one bit per layer.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from edgebook.errors import BadInput
from edgebook.models.genotype import HEADS, KINDS, Block, Genotype, check, parse

Genes = dict[str, Any]
N_DRAWS = 2000  # draws without a valid member, after which a space counts as empty
ABSENT = "none"  # the kind of a block that is not there; its other genes lie dormant
FIELDS = ("kind", "width", "kernel", "stride", "skip")


@dataclass(frozen=True)
class Space:
    """Small CNNs for one input shape, 2-D or 1-D. Raises BadInput where nothing is left to choose from.

    n_blocks: fewest and most blocks behind the stem. skips: whether a block may add its input; the gene acts only where the
    shapes agree. The genes of an absent block are kept, so that a mutation may bring the block back.
    """

    input_shape: tuple[int, ...]
    n_blocks: tuple[int, int] = (1, 5)
    kinds: tuple[str, ...] = KINDS
    widths: tuple[int, ...] = (8, 16, 24, 32)
    kernels: tuple[int, ...] = (3, 5)
    strides: tuple[int, ...] = (1, 2)
    skips: tuple[bool, ...] = (False, True)
    stem_widths: tuple[int, ...] = (4, 8, 16)
    stem_kernels: tuple[int, ...] = (3, 5)
    stem_strides: tuple[int, ...] = (1, 2)
    heads: tuple[str, ...] = ("pool",)

    def __post_init__(self):
        if empty := [name for name, values in asdict(self).items() if not values]:
            raise BadInput(f"search space: {', '.join(empty)} empty; allowed: at least one value each")
        if not 0 <= self.n_blocks[0] <= self.n_blocks[1]:
            raise BadInput(f"search space: n_blocks = {self.n_blocks}; allowed: (fewest, most), 0 <= fewest <= most")
        for name, values, allowed in (("kinds", self.kinds, KINDS), ("heads", self.heads, HEADS)):
            if unknown := sorted(set(values) - set(allowed)):
                raise BadInput(f"search space: {name} {', '.join(unknown)}; allowed: {', '.join(allowed)}")

    @cached_property
    def genes(self) -> dict[str, tuple]:
        """Every gene and its allowed values; blocks are numbered from 1."""
        fewest, most = self.n_blocks
        kinds = (*self.kinds, ABSENT) if fewest < most else self.kinds
        block = dict(zip(FIELDS, (kinds, self.widths, self.kernels, self.strides, self.skips), strict=True))
        blocks = {f"{number}.{field}": values for number in range(1, most + 1) for field, values in block.items()}
        stem = {"stem.width": self.stem_widths, "stem.kernel": self.stem_kernels, "stem.stride": self.stem_strides}
        return stem | blocks | {"head": self.heads}

    def decode(self, genes: Genes) -> Genotype:
        """The genotype of the genes. Raises BadInput with the reason where it has too few blocks or cannot be built."""
        stem = Block("stem", genes["stem.width"], genes["stem.kernel"], genes["stem.stride"])
        blocks, c_in = [], stem.width
        for number in range(1, self.n_blocks[1] + 1):
            kind, width, kernel, stride, skip = (genes[f"{number}.{field}"] for field in FIELDS)
            if kind != ABSENT:
                blocks.append(Block(kind, width, kernel, stride, skip and stride == 1 and width == c_in))
                c_in = width
        if len(blocks) < self.n_blocks[0]:
            raise BadInput(f"search space: {len(blocks)} blocks; allowed: {self.n_blocks[0]} to {self.n_blocks[1]}")
        genotype = Genotype(stem, tuple(blocks), genes["head"])
        check(genotype, self.input_shape)
        return genotype

    def encode(self, genotype: Genotype) -> Genes:
        """Genes that decode to the genotype. Raises BadInput for a genotype outside the space."""
        absent = Block(ABSENT, self.widths[0], self.kernels[0], self.strides[0], self.skips[0])
        blocks = [*genotype.blocks, *[absent] * (self.n_blocks[1] - len(genotype.blocks))]
        stem = dict(zip(("stem.width", "stem.kernel", "stem.stride"), astuple(genotype.stem)[1:4], strict=True))
        genes = {f"{n}.{field}": value for n, block in enumerate(blocks, 1) for field, value in asdict(block).items()}
        genes = stem | genes | {"head": genotype.head}
        # a gene of a skip that cannot act may be fixed to True
        genes |= {name: self.skips[0] for name in genes if name.endswith(".skip") and genes[name] not in self.skips}
        if genes.keys() != self.genes.keys() or any(genes[name] not in values for name, values in self.genes.items()):
            raise BadInput(f"genotype {genotype}: outside the search space; allowed: {self.genes}")
        if self.decode(genes) != genotype:
            raise BadInput(f"genotype {genotype}: outside the search space, nearest member {self.decode(genes)}")
        return genes

    def sample(self, rng: np.random.Generator) -> Genes:
        """Genes of a random member: every number of blocks is equally likely, then every value of every gene.

        Raises BadInput where no member can be built for the input.
        """
        fewest, most = self.n_blocks
        for _ in range(N_DRAWS):
            genes = {name: choose(rng, values) for name, values in self.genes.items()}
            n_blocks = int(rng.integers(fewest, most + 1))
            genes |= {f"{n}.kind": choose(rng, self.kinds) if n <= n_blocks else ABSENT for n in range(1, most + 1)}
            if is_member(self, genes):
                return genes
        raise BadInput(f"search space: none of {N_DRAWS} random members can be built for input_shape {self.input_shape}")

    def small_members(self) -> Iterator[Genotype]:
        """Members with the fewest blocks, all alike, and the smallest widths and kernels: the smallest nets are among them."""
        stems = [Block("stem", min(self.stem_widths), min(self.stem_kernels), stride) for stride in _ends(self.stem_strides)]
        blocks = itertools.product(self.kinds, (min(self.widths),), (min(self.kernels),), _ends(self.strides))
        for stem, block, head in itertools.product(stems, list(blocks), self.heads):
            genotype = Genotype(stem, (Block(*block),) * self.n_blocks[0], head)
            if fits(genotype, self.input_shape):
                yield genotype


@dataclass(frozen=True)
class BitSpace:
    """The subsets of a list of layers behind a fixed stem: bit i is 1 where layer i is there, in the order of the list.

    layers: a genotype with all of them, as its line; "stem 8k3s1 | plain 16k3s2 | plain 16k3s1 | pool" has two bits, and 10 is
    "stem 8k3s1 | plain 16k3s2 | pool". A layer cannot have a skip: whether its shapes agree would depend on other bits.
    """

    input_shape: tuple[int, ...]
    layers: str

    def __post_init__(self):
        if not self._all.blocks:
            raise BadInput(f"search space {self.layers!r}: no optional layer; allowed: at least one behind the stem")
        if any(block.skip for block in self._all.blocks):
            raise BadInput(f"search space {self.layers!r}: a layer with a skip; allowed: layers without")

    @cached_property
    def _all(self) -> Genotype:
        return parse(self.layers)

    @cached_property
    def genes(self) -> dict[str, tuple]:
        """bit.0, bit.1, ...: each 0 or 1."""
        return {f"bit.{number}": (0, 1) for number in range(len(self._all.blocks))}

    def decode(self, genes: Genes) -> Genotype:
        """The genotype of the bits. Raises BadInput where it cannot be built."""
        blocks = tuple(block for number, block in enumerate(self._all.blocks) if genes[f"bit.{number}"])
        genotype = Genotype(self._all.stem, blocks, self._all.head)
        check(genotype, self.input_shape)
        return genotype

    def encode(self, genotype: Genotype) -> Genes:
        """The bits of a genotype; of equal layers the first ones are set. Raises BadInput for one outside the space."""
        remaining, bits = list(genotype.blocks), []
        for block in self._all.blocks:
            bits.append(int(bool(remaining) and remaining[0] == block))
            remaining = remaining[bits[-1] :]
        if remaining or (genotype.stem, genotype.head) != (self._all.stem, self._all.head):
            raise BadInput(f"genotype {genotype}: outside the search space; allowed: layers of {self.layers!r} in their order")
        return dict(zip(self.genes, bits, strict=True))

    def sample(self, rng: np.random.Generator) -> Genes:
        """Random bits of a net that can be built. Raises BadInput where none can."""
        for _ in range(N_DRAWS):
            genes = {name: int(rng.integers(2)) for name in self.genes}
            if is_member(self, genes):
                return genes
        raise BadInput(f"search space: none of {N_DRAWS} random members can be built for input_shape {self.input_shape}")

    def small_members(self) -> Iterator[Genotype]:
        """The net without an optional layer, those with one, and the one with all (whose flat head may be the smallest)."""
        for blocks in ((), *((block,) for block in self._all.blocks), self._all.blocks):
            genotype = Genotype(self._all.stem, blocks, self._all.head)
            if fits(genotype, self.input_shape):
                yield genotype


AnySpace = Space | BitSpace


def space_of(input_shape: tuple[int, ...], fields: dict[str, Any]) -> Space:
    """The Space of a preset's mapping: field -> list of its values. Raises BadInput for a field that it does not have."""
    allowed = [field.name for field in dataclasses.fields(Space) if field.name != "input_shape"]
    if unknown := sorted(fields.keys() - set(allowed)):
        raise BadInput(f"search_space: {', '.join(unknown)} is not a field of it; allowed: {', '.join(allowed)}")
    if single := [name for name, values in fields.items() if not isinstance(values, list | tuple)]:
        raise BadInput(f"search_space: {single[0]} = {fields[single[0]]!r}; allowed: a list of values")
    return Space(tuple(input_shape), **{name: tuple(values) for name, values in fields.items()})


def is_member(space: AnySpace, genes: Genes) -> bool:
    """Whether the genes decode to a genotype that can be built."""
    try:
        space.decode(genes)
    except BadInput:
        return False
    return True


def fits(genotype: Genotype, input_shape: tuple[int, ...]) -> bool:
    """Whether the genotype can be built for the input."""
    try:
        check(genotype, input_shape)
    except BadInput:
        return False
    return True


def choose(rng: np.random.Generator, values: tuple) -> Any:
    """One of the values, each equally likely, in its own type."""
    return values[int(rng.integers(len(values)))]


def _ends(values: tuple) -> tuple:
    return (min(values), max(values)) if len(values) > 1 else values
