"""The C source of a network: kernels that it needs, weights, a plan of the memory, `predict`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib import resources
from pathlib import Path

import numpy as np

from edgebook.errors import Unsupported, pick
from edgebook.runtimes.c import memory
from edgebook.runtimes.c.fixed_point import FULL, common_shift, mean_multiplier, multiplier, multipliers, once, shifted, weighted_sum
from edgebook.runtimes.c.graph import read
from edgebook.runtimes.c.lower import lower
from edgebook.runtimes.c.steps import (
    Convolution,
    Copy,
    Depthwise,
    Elementwise,
    Fill,
    Lookup,
    Mean,
    Network,
    Place,
    Pool,
    Quantized,
    Step,
    Window,
)

LONGEST = 2**15 - 1  # sizes are int16 in the structs
BLOCK = 4  # pixels that the kernels take together
DEPTHWISE = {
    "depthwise_any": (),
    "depthwise": ("pairs_dsp", "depthwise_dsp", "depthwise_mve"),
    "depthwise_3x3": ("pairs_dsp", "depthwise_3x3_dsp", "depthwise_mve"),
}
LAYERS = {"dense": ("pixel",), "convolution": ("gather", "lanes", "block"), "convolution_few": ("gather", "pixel")}


@dataclass
class Text:
    """The parts of the file while it is written: kernels in order of need, data, the calls of predict."""

    profile: str
    right: int | None
    kernels: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def need(self, *kernels: str) -> None:
        self.kernels += [kernel for kernel in kernels if kernel not in self.kernels]

    def array(self, kind: str, name: str, values) -> str:
        lines = [", ".join(map(str, values[i : i + 24])) for i in range(0, len(values), 24)]
        self.data.append(f"static const {kind} {name}[{len(values)}] ALIGNED = {{\n    " + ",\n    ".join(lines) + "};")
        return name

    def struct(self, kind: str, name: str, values: str) -> str:
        self.data.append(f"static const {kind} {name} = {{{values}}};")
        return f"&{name}"


def source(path: Path, *, profile: str = "single") -> str:
    """The C99 source of a static int8 .tflite: `void predict(const int8_t *input, int8_t *output)`, and for one step of a
    recurrent network `void predict(const int8_t *input, int8_t *output, int8_t *state)` with `void reset(int8_t *state)`.

    profile: "single" rounds once, as XNNPACK does; "gemmlowp" equals LiteRT's reference kernels bit by bit.
    Raises BadInput for a file that cannot be read, Unsupported with the operator or precision that has no kernel.
    """
    pick({"single": 0, "gemmlowp": 0}, profile, "profile")
    return write(lower(read(path)), profile=profile)


def write(network: Network, *, profile: str = "single") -> str:
    """The C99 source of a lowered network; see `source`."""
    kernels, right = _rounding(network, profile)
    text = Text(profile, right)
    text.need("common", *kernels)
    for index, step in enumerate(network.steps):
        WRITERS[type(step)](text, step, f"layer{index}")
    for name, values in network.constants.items():
        text.array("int8_t", name, values)
    folder = resources.files("edgebook.runtimes.c") / "kernels"
    shift = f"#define RIGHT {right}\n" if right else ""
    parts = [_head(network) + shift, *((folder / f"{name}.c").read_text() for name in text.kernels)]
    return "\n".join([*parts, *_plans(network), "\n".join(text.data), _functions(network, text.calls)]) + "\n"


def _rounding(network: Network, profile: str) -> tuple[tuple[str, ...], int | None]:
    """The kernels that scale and clamp, as simple as the network's numbers allow; the shift that all its layers share, if any."""
    outs = [step.out for step in network.steps if isinstance(step, SCALED)]
    clamp = "clamp_full" if all((out.low, out.high) == (-128, 127) for out in outs) else "clamp"
    if profile == "gemmlowp":
        return (clamp, "scale_gemmlowp"), None
    factors = [_factors(step) for step in network.steps if isinstance(step, Convolution | Depthwise)]
    right = common_shift(*(np.concatenate(part) for part in zip(*factors, strict=True))) if factors else None
    single = [_factors(step) for step in network.steps if isinstance(step, Mean) or _is_product(step)]
    if right is None or any(int(largest[0]) << shifted(float(scale[0]), right)[1] >= FULL for scale, largest in single):
        return (clamp, "scale_single"), None
    return (clamp, "high_product", "scale_fast"), right


def _is_product(step: Step) -> bool:
    return isinstance(step, Elementwise) and step.kind == "MUL"


def _factors(step: Step) -> tuple[np.ndarray, np.ndarray]:
    """The real factors that a step's sums are scaled by, and how large each sum can be."""
    if isinstance(step, Mean):
        return np.array([step.scale_in / step.out.scale / step.count]), np.array([step.count << 8])
    if isinstance(step, Elementwise):
        return np.array([step.scale_first * step.scale_second / step.out.scale]), np.array([1 << 16])
    largest = 128 * np.abs(step.weights.astype(np.int64)).sum(1 if isinstance(step, Convolution) else 0) + np.abs(step.bias.astype(np.int64))
    return np.broadcast_to(step.scales, largest.shape), largest


def _head(network: Network) -> str:
    signature = "const int8_t *input, int8_t *output" + (", int8_t *state" if network.n_state else "")
    lines = [
        "/* real = (integer - ZERO_POINT) * SCALE */",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "#include <string.h>",
        "",
        f"enum {{ INPUT_SIZE = {network.n_input}, OUTPUT_SIZE = {network.n_output}, STATE_SIZE = {network.n_state} }};",
        f"enum {{ INPUT_ZERO_POINT = {network.input[1]}, OUTPUT_ZERO_POINT = {network.output[1]} }};",
        f"#define INPUT_SCALE {network.input[0]!r}f",
        f"#define OUTPUT_SCALE {network.output[0]!r}f",
        f"void predict({signature});",
        *(["void reset(int8_t *state);"] if network.n_state else []),
    ]
    return "\n".join(lines) + "\n"


def _plans(network: Network) -> list[str]:
    """The arena for each kind of processor, whose kernels need different working memory."""
    lines = []
    for condition, scratch in SCRATCH.items():
        plan = memory.plan(network.steps, network.buffers, scratch)
        offsets = "".join(f", {name} = {at}" for name, at in plan.offsets.items())
        lines += [condition, f"enum {{ ARENA_SIZE = {max(plan.size, 1)}{offsets} }};"]
    return [*lines, "#endif", "static int8_t arena[ARENA_SIZE] ALIGNED;", ""]


def _scratch(step: Step, *, block: int) -> int:
    """Bytes of patches where they stay int8."""
    if isinstance(step, Depthwise):
        return _taps(step.window)
    if isinstance(step, Convolution) and not step.dense:
        return _row(_taps(step.window)) * block if _pixels(step) >= BLOCK else _taps(step.window) + 2 * _row(_taps(step.window))
    return 0


def _scratch_dsp(step: Step) -> int:
    """Bytes of patches as pairs of int16, the four of a block in turns, behind them one as int8; or of columns of four channels."""
    if isinstance(step, Depthwise) and _depthwise_kernel(step) != "depthwise_any":
        window = step.window
        positions = (window.out_width - 1) * window.stride_width + window.kernel_width
        if _depthwise_kernel(step) == "depthwise_3x3":
            return 32 * positions + 80
        return 16 * ((window.kernel_height + 1) // 2) * (positions + window.kernel_width)
    if not isinstance(step, Convolution):
        return _scratch(step, block=1)
    row = _row(step.weights.shape[1])
    if step.dense:
        return 2 * row
    return (8 if _pixels(step) >= BLOCK else 2) * row + _taps(step.window)


def _pixels(step: Convolution) -> int:
    return step.window.out_height * step.window.out_width


def _taps(window: Window) -> int:
    return window.kernel_height * window.kernel_width * window.channels


def _row(taps: int) -> int:
    return taps + -taps % 4


def _functions(network: Network, calls: list[str]) -> str:
    state = ", int8_t *state" if network.n_state else ""
    lines = [f"void predict(const int8_t *input, int8_t *output{state})", "{", *(f"    {call}" for call in calls), "}"]
    if network.n_state:
        runs, values = [], network.state_start
        for at in (i for i in range(len(values)) if i == 0 or values[i] != values[i - 1]):
            n = next((i for i in range(at, len(values)) if values[i] != values[at]), len(values)) - at
            runs.append(f"    memset(state + {at}, {values[at]}, {n});")
        lines += ["", "void reset(int8_t *state)", "{", *runs, "}"]
    return "\n" + "\n".join(lines)


def _at(place: Place) -> str:
    name = str(place.buffer)
    if isinstance(place.buffer, int):
        name = f"arena + {memory.tensor_name(place.buffer)}"
    return f"{name} + {place.offset}" if place.offset else name


def _window(window: Window) -> str:
    values = list(vars(window).values())
    if max(values) > LONGEST or max(values[5:]) > 255:
        raise Unsupported(f"c has no window as large as {window}; litert runs it")
    return "{" + ", ".join(map(str, values)) + "}"


def _limits(out: Quantized) -> str:
    return f"{out.zero_point}, {out.low}, {out.high}"


def _weighted(text: Text, step: Convolution | Depthwise, name: str, weights: np.ndarray, taps: int) -> str:
    """The struct of a layer with weights; its address."""
    if max(taps, len(step.bias)) > LONGEST:
        raise Unsupported(f"c has no layer of {taps} taps and {len(step.bias)} channels, at most {LONGEST}; litert runs it")
    if text.right is None:
        scales = [_pair(m, right) for m, right in multipliers(step.scales)]
    else:
        scales = [str(round(scale * 2.0 ** (32 + text.right))) for scale in once(step.scales)]
    arrays = (
        text.array("int8_t", f"{name}_weights", weights.ravel()),
        text.array("int32_t", f"{name}_bias", step.bias),
        text.array("scale_t", f"{name}_scale", scales),
    )
    values = [_window(step.window), taps, _row(taps), len(step.bias), step.zero_in, _limits(step.out), int(len(scales) > 1)]
    return text.struct("layer_t", name, ", ".join(map(str, (*values, *arrays))))


def _single_scale(text: Text, scale: float) -> tuple[str, int]:
    """The initializer of one scale_t and the left shift of the sums."""
    if text.right is None:
        return _pair(*multiplier(scale)), 0
    m, left = shifted(scale, text.right)
    return str(m), left


def _pair(m: int, right: int) -> str:
    return f"{{{m}, {right}}}"


def _convolution(text: Text, step: Convolution, name: str) -> None:
    taps, pixels = step.weights.shape[1], step.window.out_height * step.window.out_width
    function = "dense" if step.dense else "convolution_few" if pixels < BLOCK else "convolution"
    text.need("layer", "pairs_dsp", "dot_plain", "dot_mve", "dot_dsp", *LAYERS[function], function)
    rows = np.zeros((len(step.weights), _row(taps)), np.int8)
    rows[:, :taps] = step.weights
    layer = _weighted(text, step, name, rows, taps)
    text.calls.append(f"{function}({layer}, {_at(step.source)}, {_at(step.target)}, {_scratch_at(name)});")


def _scratch_at(name: str) -> str:
    return f"arena + {memory.scratch_name(int(name.removeprefix('layer')))}"


def _depthwise(text: Text, step: Depthwise, name: str) -> None:
    function = _depthwise_kernel(step)
    text.need("layer", "gather", "depthwise_any", *DEPTHWISE[function])
    layer = _weighted(text, step, name, step.weights, len(step.weights))
    text.calls.append(f"{function}({layer}, {_at(step.source)}, {_at(step.target)}, {_scratch_at(name)});")


def _depthwise_kernel(step: Depthwise) -> str:
    """depthwise_3x3 and depthwise take four channels at once: one output channel for each input channel is needed."""
    window = step.window
    if not step.weights.shape[1] == window.channels >= BLOCK:
        return "depthwise_any"
    sides = window.kernel_height, window.kernel_width, window.stride_height, window.stride_width
    return "depthwise_3x3" if sides == (3, 3, 1, 1) and window.out_width > 1 else "depthwise"


def _elementwise(text: Text, step: Elementwise, name: str) -> None:
    if step.kind == "MUL":
        function, kernel, kind, values = "multiply", "multiply", "product_t", _product(text, step)
    elif text.profile == "gemmlowp":
        function, kernel, kind, values = "sum", "add_gemmlowp", "sum_t", _sum_gemmlowp(step)
    else:
        function, kernel, kind, values = "sum", "add_single", "sum_t", _sum(step)
    text.need(kernel)
    layer = text.struct(kind, name, values)
    text.calls.append(f"{function}({layer}, {_at(step.first)}, {_at(step.second)}, {_at(step.target)});")


def _product(text: Text, step: Elementwise) -> str:
    scale, left = _single_scale(text, step.scale_first * step.scale_second / step.out.scale)
    return f"{scale}, {step.n}, {step.n_second}, {step.zero_first}, {step.zero_second}, {left}, {_limits(step.out)}"


def _sum(step: Elementwise) -> str:
    sign = -1 if step.kind == "SUB" else 1
    a, b, shift = weighted_sum(step.scale_first / step.out.scale, sign * step.scale_second / step.out.scale)
    bias = (1 << (shift - 1)) - a * step.zero_first - b * step.zero_second
    return f"{a}, {b}, {bias}, {step.n}, {step.n_second}, {_limits(step.out)}, {shift}"


def _sum_gemmlowp(step: Elementwise) -> str:
    twice = 2 * max(step.scale_first, step.scale_second)
    scales = step.scale_first / twice, step.scale_second / twice, twice / ((1 << 20) * step.out.scale)
    pairs = ", ".join(_pair(*multiplier(scale)) for scale in scales)
    sign = -1 if step.kind == "SUB" else 1
    return f"{pairs}, {step.n}, {step.n_second}, {step.zero_first}, {step.zero_second}, {_limits(step.out)}, {sign}"


def _pool(text: Text, step: Pool, name: str) -> None:
    function = {"MAX": "max_pool", "AVERAGE": "average_pool"}[step.kind]
    text.need(function)
    window = text.struct("window_t", name, _window(step.window)[1:-1])
    text.calls.append(f"{function}({window}, {step.low}, {step.high}, {_at(step.source)}, {_at(step.target)});")


def _mean(text: Text, step: Mean, name: str) -> None:
    text.need("mean")
    scale, left = _single_scale(text, step.scale_in / step.out.scale / step.count)
    if text.profile == "gemmlowp":
        scale = _pair(*mean_multiplier(step.scale_in / step.out.scale, step.count))
    values = f"{scale}, {step.outer}, {step.count}, {step.inner}, {-step.count * step.zero_in}, {left}, {_limits(step.out)}"
    text.calls.append(f"mean({text.struct('mean_t', name, values)}, {_at(step.source)}, {_at(step.target)});")


def _lookup(text: Text, step: Lookup, name: str) -> None:
    text.need("lookup")
    table = text.array("int8_t", f"{name}_table", step.table)
    text.calls.append(f"lookup({table}, {_at(step.source)}, {_at(step.target)}, {step.n});")


def _copy(text: Text, step: Copy, name: str) -> None:
    if step.sizes[:3] == (1, 1, 1) and step.strides_in[3] == step.strides_out[3] == 1:
        text.calls.append(f"memcpy({_at(step.target)}, {_at(step.source)}, {step.sizes[3]});")
        return
    text.need("copy")
    values = ", ".join("{" + ", ".join(map(str, part)) + "}" for part in (step.sizes, step.strides_in, step.strides_out))
    text.calls.append(f"copy({text.struct('copy_t', name, values)}, {_at(step.source)}, {_at(step.target)});")


def _fill(text: Text, step: Fill, name: str) -> None:
    text.calls.append(f"memset({_at(step.target)}, {step.value}, {step.n});")


SCALED = Convolution | Depthwise | Elementwise | Mean
WRITERS: dict[type, Callable[[Text, Step, str], None]] = {
    Convolution: _convolution,
    Copy: _copy,
    Depthwise: _depthwise,
    Elementwise: _elementwise,
    Fill: _fill,
    Lookup: _lookup,
    Mean: _mean,
    Pool: _pool,
}
SCRATCH: dict[str, Callable[[Step], int]] = {
    "#if defined(DSP)": _scratch_dsp,
    "#elif defined(__ARM_ARCH_6M__)": partial(_scratch, block=2),
    "#else": partial(_scratch, block=4),
}
