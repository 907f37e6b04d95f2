"""The user's own networks, by what names them: a function or class in a file or an installed package, an exported program."""

from __future__ import annotations

import importlib
from typing import Any

from edgebook.errors import BadInput
from edgebook.models.constructor import construct
from edgebook.models.network_file import allow_network, allowed_packages, build_from_file, check_allowed, foreign_code
from edgebook.naming import is_package

__all__ = ["allow_network", "build_own"]

PROGRAM = ".pt2"


def build_own(name: str, input_shape: tuple[int, ...], n_outputs: int, shape: dict[str, Any]) -> Any:
    """What `path/to/file.py:name`, `package.module:name` or `net.pt2` gives for items of this shape.

    Raises BadInput for what is not allowed to run, and in one line for anything that it raises.
    """
    if name.endswith(PROGRAM):
        from edgebook.models.exported_program import load_program

        if shape:
            raise BadInput(f"model {name} has no shape parameter {', '.join(sorted(shape))}; allowed: none")
        return load_program(check_allowed(name), input_shape, n_outputs)
    if is_package(name):
        return _from_package(name, input_shape, n_outputs, shape)
    return build_from_file(name, lambda build: construct(name, build, input_shape, n_outputs, shape))


def _from_package(name: str, input_shape: tuple[int, ...], n_outputs: int, shape: dict[str, Any]) -> Any:
    """What a function or class of an installed package gives."""
    if name not in allowed_packages():
        raise BadInput(f"model {name!r} is not allowed to run; name it on the command line or in the preset when you trust it")
    module, _, attribute = name.partition(":")
    with foreign_code(name):
        build = importlib.import_module(module)
        for part in attribute.split("."):
            build = getattr(build, part)
        return construct(name, build, input_shape, n_outputs, shape)
