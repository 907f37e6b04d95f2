"""The C file while it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources

from edgebook.runtimes.c import memory
from edgebook.runtimes.c.rounding import Rounding
from edgebook.runtimes.c.steps import Place
from edgebook.runtimes.c.sub_8_bit import Packed

PER_LINE = 24  # numbers in a line of an array
BYTES = {"int8_t": 1, "int32_t": 4}


@dataclass
class Text:
    """Kernels that are needed, arrays and structs, the calls of `predict`; what is known of the whole network beside them."""

    rounding: Rounding
    packed: dict[int, Packed]
    kernels: set[str] = field(default_factory=set)
    data: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    constant_bytes: int = 0  # of all arrays

    def array(self, kind: str, name: str, values: Sequence) -> str:
        """A constant array; its name."""
        lines = [", ".join(map(str, values[i : i + PER_LINE])) for i in range(0, len(values), PER_LINE)]
        self.data.append(f"static const {kind} {name}[{len(values)}] ALIGNED = {{\n    " + ",\n    ".join(lines) + "};")
        self.constant_bytes += len(values) * (self.rounding.factor_bytes if kind == "scale_t" else BYTES[kind])
        return name

    def struct(self, kind: str, name: str, *values) -> str:
        """A constant struct; its address."""
        self.data.append(f"static const {kind} {name} = {{{', '.join(map(str, values))}}};")
        return f"&{name}"

    def call(self, function: str, *arguments) -> None:
        self.calls.append(f"{function}({', '.join(map(str, arguments))});")


def at(place: Place) -> str:
    """The C expression of a place."""
    name = f"arena + {memory.tensor_name(place.buffer)}" if isinstance(place.buffer, int) else place.buffer
    return f"{name} + {place.offset}" if place.offset else name


def scratch_at(index: int) -> str:
    """The C expression of a step's working memory."""
    return f"arena + {memory.scratch_name(index)}"


def kernel_texts(names: set[str]) -> list[str]:
    """The C text of kernels, what others build on first."""
    return [kernel_text(name) for name in KERNELS if name in names]


def kernel_text(name: str) -> str:
    """The C text of one kernel."""
    return (resources.files("edgebook.runtimes.c") / "kernels" / f"{name}.c").read_text()


KERNELS = [
    "common",
    "clamp_full",
    "clamp",
    "high_product",
    "scale_fast",
    "scale_single",
    "scale_gemmlowp",
    "layer",
    "gather",
    "pairs_dsp",
    "dot_plain",
    "dot_mve",
    "dot_dsp",
    "int8",
    "decode",
    "packed",
    "packed_dsp",
    "lanes",
    "block",
    "block_packed",
    "pixel",
    "pixel_packed",
    "convolution",
    "convolution_few",
    "dense",
    "depthwise_any",
    "depthwise_dsp",
    "depthwise_3x3_dsp",
    "depthwise_mve",
    "depthwise_packed",
    "add_single",
    "add_gemmlowp",
    "multiply",
    "max_pool",
    "average_pool",
    "mean",
    "lookup",
    "copy",
]
