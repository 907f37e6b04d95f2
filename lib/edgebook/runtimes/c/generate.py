"""The C source of a network: the kernels that it needs, weights, a plan of the memory, `predict`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgebook.errors import BadInput
from edgebook.runtimes.c import memory, rounding, sub_8_bit
from edgebook.runtimes.c.ends import Ends, head
from edgebook.runtimes.c.graph import read
from edgebook.runtimes.c.lower import lower
from edgebook.runtimes.c.steps import Network
from edgebook.runtimes.c.text import Text, kernel_texts
from edgebook.runtimes.c.working_memory import BLOCK, PROCESSORS
from edgebook.runtimes.c.writers import WRITERS


def source(path: Path, *, profile: str = "single") -> str:
    """The C99 source of a static int8 .tflite: `void predict(const int8_t *input, int8_t *output)`, and for one step of a
    recurrent network `void predict(const int8_t *input, int8_t *output, int8_t *state)` with `void reset(int8_t *state)`.

    profile: "single" rounds once, as XNNPACK does; "gemmlowp" equals LiteRT's reference kernels bit by bit.
    Raises BadInput for a file that cannot be read, Unsupported with the operator or precision that has no kernel.
    """
    return write(lower(read(path)), profile=profile)


def write(network: Network, *, profile: str = "single") -> str:
    """The C99 source of a lowered network; see `source`."""
    return generated(network, profile=profile)[0]


def generated(network: Network, *, profile: str = "single") -> tuple[str, int]:
    """The C99 source of a lowered network, and the bytes of its constants (weights, biases, scales, tables), the same on every
    processor.
    """
    text = _fill(network, profile)
    plans = _plans(network, text.packed) if any("arena" in call for call in text.calls) else []
    parts = [*_head(network), *_macros(text), "", *kernel_texts(text.kernels), *plans, *text.data, ""]
    return "\n".join([*parts, *_predict(network, text.calls), *_reset(network)]) + "\n", text.constant_bytes


def _fill(network: Network, profile: str) -> Text:
    """Kernels, arrays and calls of a network."""
    if profile not in rounding.PROFILES:
        raise BadInput(f"profile = {profile!r}; allowed: {', '.join(rounding.PROFILES)}")
    text = Text(rounding.choose(network, profile), sub_8_bit.find(network))
    text.kernels |= {"common", *text.rounding.kernels}
    for index, step in enumerate(network.steps):
        WRITERS[type(step)](text, step, index)
    if not text.packed:
        text.kernels.add("int8")
    for name, values in network.constants.items():
        text.array("int8_t", name, values)
    return text


def _head(network: Network) -> Iterator[str]:
    yield "/* real = (integer - ZERO_POINT) * SCALE. `predict` keeps its working memory in a static array: one call at a time. */"
    yield from (f"#include <{name}.h>" for name in ("stddef", "stdint", "string"))
    yield from head(network.ends)
    yield from (f"{line};" for line in signatures(network.ends))


def signatures(ends: Ends) -> list[str]:
    """The prototypes of the file's functions."""
    if not ends.n_state:
        return ["void predict(const int8_t *input, int8_t *output)"]
    return ["void predict(const int8_t *input, int8_t *output, int8_t *state)", "void reset(int8_t *state)"]


def _macros(text: Text) -> Iterator[str]:
    """What the kernels are told about the network."""
    if text.rounding.right:
        yield f"#define RIGHT {text.rounding.right}"
    used = {layer.bits for layer in text.packed.values()}
    yield f"#define PACKED {int(bool(used))}"
    yield from (f"#define HAS_BITS_{bits} {int(bits in used)}" for bits in sub_8_bit.BITS)
    for name, plain, packed in (("block", "patches, out", "lanes, work"), ("pixel", "patch, out, once", "work")):
        calls = {name: f"{name}(c, {plain})", f"{name}_packed": f"{name}_packed(c, {plain}, {packed})"}
        present = [call for kernel, call in calls.items() if kernel in text.kernels]
        body = f"((c)->bits == 8 ? {' : '.join(present)})" if len(present) == 2 else "".join(present)
        yield f"#define run_{name}(c, {plain}, {'lanes, work' if name == 'block' else 'work'}) {body}"


def _plans(network: Network, packed: dict[int, sub_8_bit.Packed]) -> Iterator[str]:
    """The arena for each kind of processor, whose kernels need different working memory."""
    for condition, bytes_of in PROCESSORS.items():
        scratch = [bytes_of(step, packed.get(index)) for index, step in enumerate(network.steps)]
        plan = memory.plan(network.steps, network.buffers, scratch, overlap=BLOCK - 1)
        offsets = "".join(f", {name} = {at}" for name, at in plan.offsets.items())
        yield condition
        yield f"enum {{ ARENA_SIZE = {max(plan.size, 1)}{offsets} }};"
    yield "#endif"
    yield "static int8_t arena[ARENA_SIZE] ALIGNED;"
    yield ""


def _predict(network: Network, calls: list[str]) -> Iterator[str]:
    yield signatures(network.ends)[0]
    yield "{"
    yield from (f"    {call}" for call in calls)
    yield "}"


def _reset(network: Network) -> Iterator[str]:
    """Every state at zero: its zero point."""
    if not network.ends.n_state:
        return
    yield ""
    yield signatures(network.ends)[1]
    yield "{"
    start = 0
    for end in range(1, network.ends.n_state + 1):
        if end == network.ends.n_state or network.state_start[end] != network.state_start[start]:
            yield f"    memset(state + {start}, {network.state_start[start]}, {end - start});"
            start = end
    yield "}"
