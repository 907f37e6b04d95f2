"""The words that rows, notebooks and pages share: roles, families, number formats, reasons. Declared here, never parsed."""

from __future__ import annotations

import re
from dataclasses import dataclass

STATUSES = ("ok", "failed", "unsupported", "skipped")

ROLES = {
    "baseline": "the float network as trained: what everything is compared with",
    "version": "a candidate: only these ship, and the baseline itself",
    "control": "stands beside a claim and never ships: random choices, training without the technique, probes of noise",
    "reference": "shown for comparison and never ships, such as eager PyTorch",
}


@dataclass(frozen=True)
class Family:
    """What a row has in common with others of its technique: its name in legends, and its colour there."""

    label: str
    colour: str
    promises_speed: bool = False  # a file of this family that is not faster says so


# Okabe and Ito's palette, then darker companions; the order is that of legends
FAMILIES = {
    "baseline": Family("baseline", "#1f2328"),
    "prune": Family("pruned", "#0072b2", promises_speed=True),
    "sparsify": Family("sparse", "#56b4e9"),
    "hidden_units": Family("fewer hidden units", "#3b7d8c", promises_speed=True),
    "quantize": Family("quantized", "#d55e00"),
    "qat": Family("trained quantized", "#a8326e"),
    "codebook": Family("shared weights", "#cc79a7"),
    "mixed": Family("mixed precision", "#7a4a12"),
    "distill": Family("distilled", "#009e73"),
    "combine": Family("combined", "#8e4fa8"),
    "search": Family("searched", "#c99700"),
    "autotune": Family("autotuned", "#5b6f00"),
    "fuse": Family("fused", "#4c5fb0"),
    "stream": Family("one step per call", "#4cb09a"),
    "adapt": Family("adapted on the device", "#b04c5f"),
    "finetune": Family("trained longer", "#6b7f8c"),
    "scratch": Family("trained from scratch", "#8c8c8c"),
    "file": Family("file as given", "#b07d4c"),
}

MARKERS = {
    "onnx": "o",
    "litert": "s",
    "executorch": "^",
    "tflm": "D",
    "vela": "v",
    "vela-u65": "v",
    "vela-u85": "v",
    "torch": "X",
    "packed": "P",
    "c": "p",
}


@dataclass(frozen=True)
class Precision:
    """A number format: bits of the weights and of the activations, and how the activations become integers.

    arithmetic: float, static (ranges from calibration), dynamic (ranges of each call), weight (integers are stored, floats
    computed) or storage (no runtime computes in it). faithful: share of the answers of its network that a file in this format
    gives, or it is not that network; None where rounding may cost answers, which the score shows.
    """

    name: str
    weight_bits: float
    activation_bits: int
    arithmetic: str
    faithful: float | None = None

    @property
    def is_float(self) -> bool:
        return self.name == "fp32"


PRECISIONS = {
    precision.name: precision
    for precision in (
        Precision("fp32", 32, 32, "float", faithful=0.98),
        Precision("fp16", 16, 16, "float", faithful=0.98),
        Precision("bf16", 16, 32, "float", faithful=0.95),
        Precision("int8-static", 8, 8, "static"),
        Precision("int16x8", 8, 16, "static"),
        Precision("int4-static", 4, 8, "static"),
        Precision("int8-dynamic", 8, 8, "dynamic"),
        Precision("int4-dynamic", 4, 8, "dynamic"),
        Precision("int8-weight", 8, 32, "weight"),
        Precision("int4-weight", 4, 32, "weight"),
    )
}
STORED = re.compile(r"(codebook|int|mixed)-?(\d+(?:\.\d+)?)(bit|-weight)")  # formats whose bits are counted, not chosen


def precision(name: str) -> Precision:
    """The record of a number format, also of those whose bits are counted in a file: codebook-4bit, mixed-3.7bit, int5-weight.

    Raises ValueError for a name that is none.
    """
    if name in PRECISIONS:
        return PRECISIONS[name]
    counted = STORED.fullmatch(name)
    if not counted:
        raise ValueError(
            f"precision {name!r}; known: {', '.join(PRECISIONS)}, codebook-<bits>bit, mixed-<bits>bit, int<bits>-weight"
        )
    return Precision(name, float(counted[2]), 32, "storage")


# why an execution failed; only `start` is tried again by itself
REASONS = {
    "parameters": "a parameter, a data set or a network was refused",
    "cell": "a cell raised an error",
    "memory": "it needed more memory than it may take, or than there is",
    "time": "it took longer than it may",
    "start": "its kernel did not start",
    "killed": "its kernel, or the process that executed it, was ended from outside",
    "page": "its page could not be written",
    "cancelled": "the run was stopped",
}

UNSUPPORTED = {
    "precision": "the runtime has no such number format",
    "algorithm": "the runtime's tool has no such way of choosing ranges, granularity or symmetry",
    "operator": "the runtime has no such operator, or not in this number format",
    "structure": "the technique or the runtime does not take a network of this structure",
    "batch": "the runtime takes one item per call",
    "library": "a library is not installed here",
    "fidelity": "the file would not compute what its network computes",
    "memory": "the target has too little memory",
    "time": "its export takes too long",
    "other": "another reason, in the error",
}
