"""Which settings of a Quant a runtime's tool takes: declared in a table per runtime, refused with the table's own values."""

from __future__ import annotations

import re
from collections.abc import Mapping

from edgebook.errors import Unsupported, one_line
from edgebook.runtimes.base import Quant

BOTH_GRANULARITIES = ("channel", "tensor")
BOTH = (True, False)
FIELDS = ("granularity", "symmetric", "algorithm", "reduce_range")
Options = Mapping[str, Mapping[str, tuple]]  # precision -> field of a Quant -> its allowed values; the default where absent


def require(name: str, quant: Quant, options: Options) -> None:
    """Raises Unsupported (code `algorithm`) for a value that `options` does not allow; `per_layer` in it lists the precisions
    that single layers may have.
    """
    allowed, default = options[quant.precision], Quant()
    for field in FIELDS:
        values = allowed.get(field, (getattr(default, field),))
        if getattr(quant, field) not in values:
            listed = ", ".join(map(str, values))
            given = getattr(quant, field)
            raise Unsupported(f"{name} has {field} {listed} for {quant.precision}, not {given}", code="algorithm")
    precisions = allowed.get("per_layer", ())
    for pattern, precision in quant.per_layer:
        if precision not in precisions:
            listed, given = ", ".join(precisions) or "no other precision", f"{pattern}: {precision}"
            raise Unsupported(f"{name} has {listed} for layers of {quant.precision}, not {given}", code="algorithm")


def require_matches(name: str, quant: Quant, layers: list[str]) -> None:
    """Raises Unsupported (code `algorithm`) for a pattern of `per_layer` that matches none of the layers' names."""
    for pattern, _ in quant.per_layer:
        if not any(re.search(pattern, layer) for layer in layers):
            raise Unsupported(f"{name}: {pattern!r} matches no layer; there are {', '.join(layers)[:200]}", code="algorithm")


# what quantization tools raise for networks that they cannot take
TOOL_ERRORS = (ValueError, RuntimeError, LookupError, TypeError, AttributeError)
SIMPLER = "; allowed: int8-dynamic or int8-weight, which need no scales of activations"


def tool_failure(runtime: str, quant: Quant, error: Exception) -> Unsupported:
    """What a quantization tool has raised, in one line, with the formats of the runtime that ask less of it."""
    reason = f"{runtime}: its quantization tool fails on this network ({quant.precision}, {quant.algorithm}): {one_line(error)}"
    return Unsupported(reason + (SIMPLER if quant.precision.endswith("static") else ""), code="algorithm")
