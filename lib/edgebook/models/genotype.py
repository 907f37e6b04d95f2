"""Genotypes: a small CNN as one line of text, such as `stem 8k5s2 | ds 16k3s2 | plain 16k3s1 +skip | pool`.

`16k3s2` is 16 channels, kernel 3, stride 2. Kinds: plain (convolution), ds (depthwise-separable), ir (inverted residual),
fire (squeeze and expand). `+skip` adds the block's input to its output. The head is `pool` (global average pooling) or
`flat` (all positions), followed by one dense layer. The same line describes a 2-D net or a 1-D net; the input decides.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from edgebook.errors import BadInput

KINDS = ("plain", "ds", "ir", "fire")
HEADS = ("pool", "flat")
FORM = "stem WkKsS | KIND WkKsS [+skip] | ... | HEAD"
_LAYER = re.compile(r"(\w+) +(\d+)k(\d+)s(\d+)( +\+skip)?")


@dataclass(frozen=True)
class Block:
    """One block: `width` output channels, an odd `kernel`, a `stride`; `skip` adds the input to the output."""

    kind: str
    width: int
    kernel: int
    stride: int
    skip: bool = False

    def __str__(self) -> str:
        return f"{self.kind} {self.width}k{self.kernel}s{self.stride}{' +skip' if self.skip else ''}"


@dataclass(frozen=True)
class Genotype:
    """A stem convolution (`kind` "stem"), blocks, and a head. `str` gives its line, `parse` reads it back."""

    stem: Block
    blocks: tuple[Block, ...]
    head: str = "pool"

    def __str__(self) -> str:
        return " | ".join(map(str, (self.stem, *self.blocks, self.head)))


def parse(line: str) -> Genotype:
    """The genotype that a line of text describes. Raises BadInput that quotes the part that cannot be read."""
    first, *rest = [part.strip() for part in str(line).split("|")]
    blocks, head = (rest[:-1], rest[-1]) if rest and rest[-1] in HEADS else (rest, "pool")
    stem = _parse_block(first, line)
    if stem.kind != "stem" or stem.skip:
        raise BadInput(f"genotype {line!r}: it starts with {first!r}; allowed: {FORM}, without a skip at the stem")
    return Genotype(stem, tuple(_parse_block(part, line) for part in blocks), head)


def _parse_block(part: str, line: str) -> Block:
    match = _LAYER.fullmatch(part)
    if not match:
        raise BadInput(f"genotype {line!r}: {part!r} cannot be read; allowed: {FORM}, HEAD one of {', '.join(HEADS)}")
    kind, width, kernel, stride, skip = match.groups()
    return Block(kind, int(width), int(kernel), int(stride), skip is not None)


def to_plain(genotype: Genotype) -> dict[str, Any]:
    """The genotype as dicts, lists, strings and numbers, for JSON and YAML."""
    return {"stem": asdict(genotype.stem), "blocks": [asdict(block) for block in genotype.blocks], "head": genotype.head}


def from_plain(data: dict[str, Any]) -> Genotype:
    """The genotype that `to_plain` wrote. Raises BadInput for other keys."""
    try:
        return Genotype(Block(**data["stem"]), tuple(Block(**block) for block in data["blocks"]), data["head"])
    except (TypeError, KeyError) as error:
        raise BadInput(f"genotype {data!r}: {error}; allowed: stem, blocks, head as written by to_plain") from None


def check(genotype: Genotype, input_shape: tuple[int, ...]) -> None:
    """Raises BadInput with the reason if no net can be built, or if part of it could never work on this input.

    input_shape: (channels, height, width) or (channels, time). Refused are a stride that is longer than the map, a kernel of
    which some weights only ever meet padding, and a skip between different shapes.
    """
    if len(input_shape) not in (2, 3):
        raise BadInput(f"genotype: input_shape {tuple(input_shape)}; allowed: (channels, height, width) or (channels, time)")
    if genotype.head not in HEADS:
        raise BadInput(f"genotype {genotype}: head {genotype.head!r}; allowed: {', '.join(HEADS)}")
    side, c_in = min(input_shape[1:]), input_shape[0]
    for number, block in enumerate((genotype.stem, *genotype.blocks)):
        if reason := _refusal(block, ("stem",) if number == 0 else KINDS, side, c_in):
            raise BadInput(f"genotype {genotype}: {str(block)!r}: {reason}")
        side, c_in = map_side(side, block.stride), block.width


def _refusal(block: Block, kinds: tuple[str, ...], side: int, c_in: int) -> str | None:
    """Why a block cannot follow a map of this side and this many channels, or None."""
    if block.kind not in kinds:
        return f"kind {block.kind!r}; allowed: {', '.join(kinds)}"
    if min(block.width, block.kernel, block.stride) < 1 or block.kernel % 2 == 0:
        return "width and stride are above zero, the kernel is odd"
    if block.kind == "fire" and block.width % 2:
        return "the width of a fire block is even"
    if block.stride > side:
        return f"stride {block.stride} on a map of side {side}"
    if block.kernel > 2 * side - 1:
        return f"kernel {block.kernel} on a map of side {side}; allowed: at most {2 * side - 1}"
    if block.skip and (block.kind == "stem" or block.stride != 1 or block.width != c_in):
        return f"a skip needs stride 1 and as many channels as come in ({c_in})"
    return None


def map_side(side: int, stride: int) -> int:
    """The side of the map after a convolution with "same" padding."""
    return (side - 1) // stride + 1


def final_sides(genotype: Genotype, input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The sides of the last map, (height, width) or (time,)."""
    sides = tuple(input_shape[1:])
    for block in (genotype.stem, *genotype.blocks):
        sides = tuple(map_side(side, block.stride) for side in sides)
    return sides
