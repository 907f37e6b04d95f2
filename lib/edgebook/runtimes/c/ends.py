"""What goes into a network and comes out of it, as the head of its C file tells."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from edgebook.errors import BadInput


@dataclass(frozen=True)
class Ends:
    """Shape of one item (for a recurrent network: of one step), scale and zero point of input and output; bytes of the state."""

    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    input: tuple[float, int]
    output: tuple[float, int]
    n_state: int = 0

    @property
    def n_input(self) -> int:
        return prod(self.input_shape)

    @property
    def n_output(self) -> int:
        return prod(self.output_shape)

    @property
    def input_detail(self) -> dict[str, Any]:
        """As `runtimes.integers` takes it."""
        return {"quantization": self.input, "dtype": np.int8}

    @property
    def output_detail(self) -> dict[str, Any]:
        return {"quantization": self.output, "dtype": np.int8}


def head(ends: Ends) -> list[str]:
    """The lines of C that `parse` reads again."""
    (scale_in, zero_in), (scale_out, zero_out) = ends.input, ends.output
    return [
        f"enum {{ INPUT_SIZE = {ends.n_input}, OUTPUT_SIZE = {ends.n_output}, STATE_SIZE = {ends.n_state} }};",
        f"enum {{ INPUT_ZERO_POINT = {zero_in}, OUTPUT_ZERO_POINT = {zero_out} }};",
        f"#define INPUT_SCALE {scale_in!r}f",
        f"#define OUTPUT_SCALE {scale_out!r}f",
        f"#define INPUT_SHAPE {{{', '.join(map(str, ends.input_shape))}}}",
        f"#define OUTPUT_SHAPE {{{', '.join(map(str, ends.output_shape))}}}",
    ]


def parse(source: str) -> Ends:
    """The ends of a generated C file. Raises BadInput, with what is not defined there, for another text."""

    def find(name: str, pattern: str) -> str:
        match = re.search(rf"\b{name}(?: =)? {pattern}", source)
        if match is None:
            raise BadInput(f"the C source does not define {name}; allowed: what edgebook has generated")
        return match[1]

    def shape(name: str) -> tuple[int, ...]:
        return tuple(int(size) for size in find(name, r"\{([\d, ]*)\}").split(",") if size.strip())

    def quantization(name: str) -> tuple[float, int]:
        return float(find(f"{name}_SCALE", r"([\d.e+-]+)f")), int(find(f"{name}_ZERO_POINT", r"(-?\d+)"))

    state = int(find("STATE_SIZE", r"(\d+)"))
    return Ends(shape("INPUT_SHAPE"), shape("OUTPUT_SHAPE"), quantization("INPUT"), quantization("OUTPUT"), state)
