"""Parts of a network that training leaves as they are."""

from __future__ import annotations

from fnmatch import fnmatchcase

from torch import nn

from edgebook.errors import BadInput


def freeze(model: nn.Module, patterns: tuple[str, ...]) -> list[nn.Module]:
    """Let no gradient reach the parameters that a pattern names, in place; the modules that stay in eval mode, since all of
    their parameters are frozen: statistics of batch norm would move otherwise. Without patterns nothing changes.

    A pattern is the name of a module or parameter, `*` stands for anything: `features`, `blocks.?.conv`. Raises BadInput for
    one that names nothing, and when nothing is left to train.
    """
    if not patterns:
        return []
    names = [name for name, _ in model.named_parameters()]
    for pattern in patterns:
        if not any(_names(pattern, name) for name in names):
            known = ", ".join(dict.fromkeys(name.split(".")[0] for name in names))
            raise BadInput(f"frozen = {pattern!r} names no parameter; allowed: {known}, or what is inside them")
    for name, parameter in model.named_parameters():
        if any(_names(pattern, name) for pattern in patterns):
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise BadInput(f"frozen = {', '.join(patterns)} leaves nothing to train; allowed: a part of the network")
    inside = {name: module for name, module in model.named_modules() if list(module.parameters())}
    return [module for module in inside.values() if not any(p.requires_grad for p in module.parameters())]


def thaw(model: nn.Module, given: nn.Module) -> nn.Module:
    """The model itself; what could be trained in the given one can be trained again."""
    for parameter, before in zip(model.parameters(), given.parameters(), strict=True):
        parameter.requires_grad_(before.requires_grad)
    return model


def _names(pattern: str, name: str) -> bool:
    """Whether a pattern names a parameter, or a module around it."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")
