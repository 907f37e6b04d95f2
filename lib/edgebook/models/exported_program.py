"""A network that `torch.export` wrote, .pt2: its layers become modules again, so that it trains and can be pruned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

from edgebook.errors import BadInput, one_line

aten = torch.ops.aten
HOW = "torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim('batch')},))"
CLOSE = 1e-4  # largest difference of outputs between the program and its modules


class Program(nn.Module):
    """The program's graph as a module; a graph alone loses its attributes when it is copied, and cannot be exported again."""

    def __init__(self, layers: fx.GraphModule):
        super().__init__()
        self.layers = layers  # not `graph`: a module that torch.export makes has an attribute of that name

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def load_program(path: Path, input_shape: tuple[int, ...], n_outputs: int) -> nn.Module:
    """The network of a .pt2 file, with its weights, in the mode of training that its caller sets.

    Convolutions, dense layers, normalisations, PReLU and dropout are modules again; other operators stay as they are. Raises
    BadInput for a file that is no such program, for another input shape or a fixed batch size, or when the modules do not
    compute what the program computes.
    """
    try:
        program = torch.export.load(path)
        graph = program.module()
    except Exception as error:  # zip, JSON and schema errors of many kinds
        raise BadInput(f"{path}: cannot be loaded by torch.export: {one_line(error)}") from None
    _check_input(graph, path, input_shape)
    restored = Program(_restored(graph))
    x = torch.randn(3, *input_shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        try:
            ours = restored.eval()(x)
            theirs = graph(x) if not _in_training(graph) else ours
        except Exception as error:  # whatever an operator raises
            raise BadInput(f"{path}: does not take 3 items of shape {input_shape}: {one_line(error)}") from None
    if not isinstance(ours, torch.Tensor) or ours.shape != theirs.shape or (ours - theirs).abs().max() > CLOSE:
        raise BadInput(f"{path}: its layers as modules do not compute what the program computes; allowed: a float program")
    return restored.train()


def _check_input(graph: fx.GraphModule, path: Path, input_shape: tuple[int, ...]) -> None:
    inputs = [node for node in graph.graph.nodes if node.op == "placeholder"]
    if len(inputs) != 1:
        raise BadInput(f"{path}: has {len(inputs)} inputs; allowed: one")
    n, *shape = inputs[0].meta["val"].shape
    if tuple(shape) != input_shape:
        raise BadInput(f"{path}: was exported for items of shape {tuple(shape)}; allowed: {input_shape}, that of the data")
    if isinstance(n, int):
        raise BadInput(f"{path}: was exported for batches of {n}, so that it cannot be trained; allowed: {HOW}")


def _in_training(graph: fx.GraphModule) -> bool:
    """Whether it was exported in training mode, where outputs depend on the batch."""
    modes = {aten.batch_norm.default: 5, aten.dropout.default: 2}
    return any(node.target in modes and node.args[modes[node.target]] for node in graph.graph.nodes)


def _restored(program: fx.GraphModule) -> fx.GraphModule:
    """A graph of modules and functions, with one input and one output, in which weights belong to modules."""
    root, graph = nn.Module(), fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    modules: dict[str, nn.Module] = {}
    tensors = dict(program.named_parameters()) | dict(program.named_buffers())
    for node in program.graph.nodes:
        if node.op == "call_module" or (node.target is aten.add_.Tensor and "num_batches" in str(node.args[0])):
            continue  # checks of shapes, and a counter that the module keeps
        if node.op == "output":
            graph.output(copies[node.args[0][0]])
            continue
        make = MODULES.get(node.target) if node.op == "call_function" else None
        module = make(node, lambda weight: None if weight is None else tensors[weight.target]) if make else None
        if module is None:
            copies[node] = graph.node_copy(node, lambda inner: copies[inner])
            if node.op == "get_attr":
                _place(root, node.target, tensors.get(node.target))
            continue
        name = _name(node)
        modules.setdefault(name, module)  # a module that is called twice is one
        copies[node] = graph.call_module(name, (copies[node.args[0]],))
    for name, module in modules.items():
        _place(root, name, module)
    restored = fx.GraphModule(root, graph)
    restored.graph.eliminate_dead_code()
    restored.delete_all_unused_submodules()
    restored.recompile()
    return restored


def _name(node: fx.Node) -> str:
    """Where a module belongs: the place of its weight, or a name of its own without one."""
    weights = [str(arg.target) for arg in node.args if isinstance(arg, fx.Node) and arg.op == "get_attr"]
    return weights[0].rpartition(".")[0] or node.name if weights else f"{node.name}_module"


def _place(root: nn.Module, path: str, value: Any) -> None:
    """Put a module, parameter or buffer at a dotted path below `root`."""
    *parents, last = path.split(".")
    place: Any = root
    for parent in parents:
        if parent not in place._modules:
            place.add_module(parent, nn.Module())
        place = place._modules[parent]
    if isinstance(value, nn.Parameter | nn.Module) or value is None:
        setattr(place, last, value)
    else:
        place.register_buffer(last, value)


Tensors = Callable[[fx.Node | None], torch.Tensor | None]


def _with(module: nn.Module, **tensors: torch.Tensor | None) -> nn.Module:
    """The module with these tensors as its own."""
    for name, tensor in tensors.items():
        if name in module._buffers:
            module._buffers[name] = tensor
        else:
            module._parameters[name] = tensor  # None where there is no bias
    return module


def _arguments(node: fx.Node, *defaults: Any) -> list[Any]:
    """The arguments of an operator, with its defaults for those that are left out."""
    return [*node.args, *defaults[len(node.args) :]]


def _convolution(kinds: dict[int, type[nn.Module]]) -> Callable[[fx.Node, Tensors], nn.Module | None]:
    def make(node: fx.Node, tensor: Tensors) -> nn.Module | None:
        _, weight, bias, stride, padding, dilation, groups = _arguments(node, None, None, None, 1, 0, 1, 1)
        w = tensor(weight) if isinstance(weight, fx.Node) and weight.op == "get_attr" else None
        if w is None:
            return None
        sizes = (w.shape[1] * groups, w.shape[0], tuple(w.shape[2:]))
        padding = padding if isinstance(padding, str | int) else tuple(padding)
        settings = {"stride": _pair(stride), "padding": padding, "dilation": _pair(dilation), "groups": groups}
        return _with(kinds[w.ndim](*sizes, **settings, bias=bias is not None), weight=w, bias=tensor(bias))

    return make


def _pair(value: Any) -> Any:
    return value if isinstance(value, int) else tuple(value)


def _transposed(node: fx.Node, tensor: Tensors) -> nn.Module | None:
    _, weight, bias, stride, padding, extra, groups, dilation = _arguments(node, None, None, None, 1, 0, 0, 1, 1)
    w = tensor(weight) if weight.op == "get_attr" else None
    if w is None:
        return None
    kind = nn.ConvTranspose1d if w.ndim == 3 else nn.ConvTranspose2d
    settings = {"stride": _pair(stride), "padding": _pair(padding), "output_padding": _pair(extra), "dilation": _pair(dilation)}
    sizes = (w.shape[0], w.shape[1] * groups, tuple(w.shape[2:]))
    return _with(kind(*sizes, **settings, groups=groups, bias=bias is not None), weight=w, bias=tensor(bias))


def _linear(node: fx.Node, tensor: Tensors) -> nn.Module | None:
    _, weight, bias = _arguments(node, None, None, None)
    w = tensor(weight) if weight.op == "get_attr" else None
    return None if w is None else _with(nn.Linear(w.shape[1], w.shape[0], bias is not None), weight=w, bias=tensor(bias))


def _batch_norm(node: fx.Node, tensor: Tensors) -> nn.Module | None:
    x, weight, bias, mean, variance, _, momentum, eps, *_ = _arguments(node)
    if mean is None:
        return None
    kind = nn.BatchNorm2d if x.meta["val"].ndim == 4 else nn.BatchNorm1d
    module = kind(len(tensor(mean)), eps=eps, momentum=momentum, affine=weight is not None)
    return _with(module, weight=tensor(weight), bias=tensor(bias), running_mean=tensor(mean), running_var=tensor(variance))


def _layer_norm(node: fx.Node, tensor: Tensors) -> nn.Module | None:
    _, shape, weight, bias, eps, *_ = _arguments(node, None, None, None, None, 1e-5)
    module = nn.LayerNorm(tuple(shape), eps=eps, elementwise_affine=weight is not None, bias=bias is not None)
    return _with(module, weight=tensor(weight), bias=tensor(bias))


def _group_norm(node: fx.Node, tensor: Tensors) -> nn.Module | None:
    _, groups, weight, bias, eps, *_ = _arguments(node, None, None, None, None, 1e-5)
    if weight is None:
        return None
    return _with(nn.GroupNorm(groups, len(tensor(weight)), eps=eps), weight=tensor(weight), bias=tensor(bias))


def _prelu(node: fx.Node, tensor: Tensors) -> nn.Module | None:
    return _with(nn.PReLU(tensor(node.args[1]).numel()), weight=tensor(node.args[1]))


def _dropout(node: fx.Node, tensor: Tensors) -> nn.Module | None:
    return nn.Dropout(node.args[1])


MODULES: dict[Any, Callable[[fx.Node, Tensors], nn.Module | None]] = {
    aten.conv1d.default: _convolution({3: nn.Conv1d}),
    aten.conv2d.default: _convolution({4: nn.Conv2d}),
    aten.conv1d.padding: _convolution({3: nn.Conv1d}),
    aten.conv2d.padding: _convolution({4: nn.Conv2d}),
    aten.conv_transpose1d.default: _transposed,
    aten.conv_transpose2d.input: _transposed,
    aten.linear.default: _linear,
    aten.batch_norm.default: _batch_norm,
    aten.layer_norm.default: _layer_norm,
    aten.group_norm.default: _group_norm,
    aten.prelu.default: _prelu,
    aten.dropout.default: _dropout,
}
