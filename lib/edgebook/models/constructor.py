"""How a network is built that this project does not know: what its function or class is called with."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from edgebook.errors import BadInput

SIZES = ("in_channels", "in_chans", "num_channels", "in_features", "n_inputs")  # size of the first dimension of an item
CLASSES = ("num_classes", "n_classes", "num_outputs", "out_features")


def construct(name: str, build: Callable[..., Any], input_shape: tuple[int, ...], n_outputs: int, shape: dict[str, Any]) -> Any:
    """What `build` returns: a function `(input_shape, n_outputs, **shape)`, or any other that takes sizes by their usual names.

    Two required parameters in front whose names say nothing get the input shape and the number of outputs. Otherwise
    `input_shape`, `n_outputs`, SIZES and CLASSES are given by name, unless `shape` has them. Raises BadInput for a keyword that
    it lacks, and for one that it needs and that nothing gives.
    """
    parameters = inspect.signature(build).parameters.values()
    plain = [parameter for parameter in parameters if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)]
    known = {"input_shape": input_shape, "n_outputs": n_outputs}
    usual = known | dict.fromkeys(SIZES, input_shape[0]) | dict.fromkeys(CLASSES, n_outputs)
    front = [parameter.name for parameter in plain[:2] if parameter.default is parameter.empty]
    in_order = len(front) == 2 and not any(parameter.name in usual.keys() - known.keys() for parameter in plain)
    given = {} if in_order else {p.name: usual[p.name] for p in plain if p.name in usual}
    named = [parameter for parameter in plain if not in_order or parameter.name not in front]
    allowed = [parameter.name for parameter in named if parameter.name not in known]
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    if (unknown := sorted(set(shape) - set(allowed))) and not takes_any:
        raise BadInput(f"model {name} has no shape parameter {', '.join(unknown)}; allowed: {', '.join(allowed) or 'none'}")
    needed = [p.name for p in named if p.default is p.empty and p.name not in given and p.name not in shape]
    if needed:
        raise BadInput(f"model {name} needs {', '.join(needed)}; allowed: model_shape: {{{needed[0]}: ...}}")
    return build(*((input_shape, n_outputs) if in_order else ()), **{**given, **shape})
