"""Which layers of a network need an operator that a runtime lacks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.module_tracker import ModuleTracker

from edgebook import lock
from edgebook.files import scratch
from edgebook.runtimes.base import runtime
from edgebook.runtimes.exportable import clean_copy
from edgebook.runtimes.exporter_tables import kept_tables
from edgebook.runtimes.quiet import quiet


def refused_layers(model: nn.Module, x: Tensor, operator: str) -> list[str]:
    """Names of the layers, in order, that run an operator; `forward` for one outside every layer.

    operator: PyTorch's (`aten.erfc`, or `aten:erfc`), or a LiteRT file's (`CUMSUM`), for which the network is converted once
    more. x: items of the network's input, (n, ...).
    """
    namespace, _, name = operator.replace(":", ".").rpartition(".")
    if namespace:
        return _running(model, x[:1], name)
    return _converted_to(model, x[:1], operator)


class _Operators(TorchDispatchMode):
    """Notes in which layer every operator runs."""

    def __init__(self, tracker: ModuleTracker):
        super().__init__()
        self.tracker, self.layers = tracker, list[tuple[str, str]]()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        layer = max(self.tracker.parents, key=len)
        self.layers.append((func.overloadpacket.__name__, layer))
        return func(*args, **(kwargs or {}))


def _running(model: nn.Module, x: Tensor, name: str) -> list[str]:
    """Layers that call an ATen operator in one forward pass."""
    net = clean_copy(model)
    with torch.no_grad(), ModuleTracker() as tracker, _Operators(tracker) as operators:
        net(x)
    layers = [layer for called, layer in operators.layers if called == name]
    return list(dict.fromkeys(layer.partition(".")[2] or "forward" for layer in layers))


def _converted_to(model: nn.Module, x: Tensor, operator: str) -> list[str]:
    """Layers from which LiteRT's converter makes an operator: it keeps their names."""
    from edgebook.runtimes.litert.flatbuffer import operator_name, operator_outputs, read

    net = clean_copy(model)
    with scratch() as folder, lock.training(), quiet(), kept_tables():
        path = folder / "net.tflite"
        runtime("litert").side("export").convert(net, x, path)
        data = path.read_bytes()
    file = read(data)
    names = [operator_name(file.operatorCodes[op.opcodeIndex]) for op in file.subgraphs[0].operators]
    outputs = zip(names, operator_outputs(data), strict=True)
    return list(dict.fromkeys(_layer(net, output) for name, output in outputs if name == operator))


def _layer(model: nn.Module, output: str) -> str:
    """`blocks.0.conv` for `net.Net/Sequential_blocks/Block_0/Conv2d_conv;1`; of several fused ones the first."""
    joined = [part for part in output.split(";") if "/" in part]
    module, path = model, []
    for segment in joined[-1].split("/")[1:] if joined else ():
        children = [name for name, _ in module.named_children() if segment.endswith(f"_{name}")]
        if not children:
            break
        path.append(max(children, key=len))
        module = module.get_submodule(path[-1])
    return ".".join(path) or "forward"
