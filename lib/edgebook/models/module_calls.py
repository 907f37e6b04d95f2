"""Which modules a forward calls, in order, and whose output each of them reads."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

INERT = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)  # do nothing in eval mode
INERT_OPERATORS = ("aten.dropout.default", "aten.feature_dropout.default", "aten.alpha_dropout.default")


@dataclass(frozen=True)
class Call:
    """One call of a module; node: its place in the graph. inert: nodes that hand on what they read, in eval mode."""

    name: str
    node: fx.Node
    inert: frozenset[fx.Node]

    def source(self, calls: list[Call]) -> Call | None:
        """The call whose output this one reads and nothing else does; None where there is no such call."""
        node = self.node.args[0]
        while isinstance(node, fx.Node) and node in self.inert and len(node.users) == 1:
            node = node.args[0]
        return next((call for call in calls if call.node is node and len(call.node.users) == 1), None)


def module_calls(model: nn.Module) -> list[Call]:
    """The calls of modules in the forward, traced or, where that fails, in the exported graph; empty where both fail."""
    modules = dict(model.named_modules())
    if traced := traced_calls(model):
        inert = frozenset(node for node in traced if isinstance(modules[node.target], INERT))
        return [Call(node.target, node, inert) for node in traced]
    return _exported_calls(model, modules)


def traced_calls(model: nn.Module) -> list[Any]:
    """The `call_module` nodes of the traced forward, in order; none where its control flow depends on the data."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = fx.symbolic_trace(model).graph
    except Exception:  # whatever the user's forward raises for a proxy
        return []
    return [node for node in graph.nodes if node.op == "call_module"]


def _exported_calls(model: nn.Module, modules: dict[str, nn.Module]) -> list[Call]:
    """The same in the graph of `torch.export`, which follows one item through any Python code; needs `model.spec`.

    A node belongs to the innermost module that it was recorded in, and stands for one call of it.
    """
    spec: Any = getattr(model, "spec", None)
    if spec is None or spec["wrappers"]:
        return []
    was_training = model.training
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            example = torch.zeros(2, *spec["input_shape"])
            graph = torch.export.export(model.eval(), (example,), strict=False).graph
    except Exception:  # whatever the user's forward raises
        return []
    finally:
        model.train(was_training)
    nodes = [node for node in graph.nodes if node.op == "call_function"]
    inert = frozenset(node for node in nodes if str(node.target) in INERT_OPERATORS and False in node.args)
    owners = [(_owner(node), node) for node in nodes if node not in inert]
    return [Call(name, node, inert) for name, node in owners if name in modules and not list(modules[name].children())]


def _owner(node: fx.Node) -> str:
    """The path of the innermost module that a node was recorded in."""
    stack = list((node.meta.get("nn_module_stack") or {"": ("", None)}).values())
    return stack[-1][0].partition("@")[0]  # later calls of a module are numbered: `body@1`
