"""Networks with int8 rounding in their forward pass: what quantization-aware training trains and exporters turn into integers."""

from __future__ import annotations

import copy
import dataclasses
import logging
import warnings
from typing import Any

import torch
from torch import Tensor, fx, nn

from edgebook.errors import Unsupported
from edgebook.models.batch_norm import NORMS
from edgebook.models.structure import describe

PRECISION = "int8-static"
LARGEST_BATCH = 4096
MODE_ARGUMENT = {  # operator -> which argument says that the network is being trained
    "aten.batch_norm.default": 5,
    "aten.dropout.default": 2,
    "aten.dropout_.default": 2,
    "aten.feature_dropout.default": 2,
    "aten.alpha_dropout.default": 2,
    "aten.rrelu.default": 3,
}
NORM_EPS = 1e-5  # what PT2E sets in every batch norm that it folds

# of PyTorch itself, at every copy of an exported graph
warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\)", category=FutureWarning)


class FakeQuantized(nn.Module):
    """A network whose weights and activations are rounded as it runs, with gradients passed through (torchao's PT2E graph).

    Its ranges follow the data in training mode until `freeze`; in eval mode they never move, so that no validation or test
    item can set them.
    """

    graph: fx.GraphModule
    frozen: Tensor

    def __init__(self, graph: fx.GraphModule):
        super().__init__()
        self.graph = graph
        self.register_buffer("frozen", torch.tensor(False))

    def forward(self, x: Tensor) -> Tensor:
        return self.graph(x)

    def train(self, mode: bool = True) -> FakeQuantized:
        import torchao.quantization.pt2e as pt2e

        self.training = mode
        _switch(self.graph, mode)
        self.graph.apply(pt2e.enable_observer if mode and not self.frozen else pt2e.disable_observer)
        return self

    def freeze(self) -> None:
        """Ranges stay from here on."""
        self.frozen.fill_(True)
        self.train(self.training)

    def integers(self, *, fold: bool) -> nn.Module:
        """The graph with quantize and dequantize nodes, for exporters; `fold` turns the weights into stored integers."""
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

        return convert_pt2e(copy.deepcopy(self.eval().graph), fold_quantize=fold)


def _switch(graph: fx.GraphModule, training: bool) -> None:
    """Put an exported graph into a mode by the argument of each batch norm and dropout that tells it. torchao's own switch
    matches patterns, which takes seconds in every epoch.
    """
    for node in graph.graph.nodes:
        if (index := MODE_ARGUMENT.get(str(node.target))) is not None:
            node.update_arg(index, training)
    graph.recompile()


def _check_evaluation(graph: fx.GraphModule) -> None:
    """Raises Unsupported where the graph of evaluation depends on chance or on the other items of a batch: a file would too."""
    for node in graph.graph.nodes:
        index, tags = MODE_ARGUMENT.get(str(node.target)), getattr(node.target, "tags", ())
        always_on = index is not None and node.args[index] is True
        if always_on or (index is None and torch.Tag.nondeterministic_seeded in tags):
            path, kind = list(node.meta["nn_module_stack"].values())[-1]
            where = f"{str(kind).rpartition('.')[2]} {path}".strip()
            raise Unsupported(f"QAT: {node.target} in {where} acts as in training, in evaluation too", code="fidelity")


@torch.no_grad()
def _with_eps(net: nn.Module) -> nn.Module:
    """The same network, in place: its batch norms have NORM_EPS, and variances that make up for it in evaluation. Raises
    Unsupported where a variance is too small for that.
    """
    for module in net.modules():
        if isinstance(module, NORMS) and module.eps != NORM_EPS and module.running_var is not None:
            module.running_var += module.eps - NORM_EPS
            module.eps = NORM_EPS
            if (module.running_var < 0).any():
                reason = f"PT2E folds batch norm with eps {NORM_EPS}, which is above a variance here"
                raise Unsupported(reason, code="structure")
    return net


def prepare(model: nn.Module) -> FakeQuantized:
    """A copy with fake quantization: int8 weights per output channel, int8 activations, batch norm folded as it trains.

    It is the network of evaluation that is trained: of all that depends on the mode, batch norm and dropout alone are switched
    on in training. Raises Unsupported for recurrent networks, whose loops PT2E leaves in float, and for a network that is random
    in evaluation.
    Source: Jacob et al. 2018, section 3.
    """
    if any(isinstance(module, nn.RNNBase) for module in model.modules()):
        raise Unsupported("PT2E leaves recurrent layers in float; it quantizes convolutions and dense layers", code="structure")
    batch = {0: torch.export.Dim("batch", min=1, max=LARGEST_BATCH)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in ("torchao", "torch.utils._pytree"):
            logging.getLogger(logger).setLevel(logging.ERROR)
        from torchao.quantization.pt2e.quantize_pt2e import prepare_qat_pt2e

        float_copy = _with_eps(
            copy.deepcopy(model).cpu().eval()
        )  # what else depends on the mode, such as noise, is not in the file
        spec: Any = model.spec
        example = torch.zeros(8, *spec["input_shape"])
        program = torch.export.export(float_copy, (example,), dynamic_shapes=(batch,), strict=False)
        graph: Any = program.module()
        _check_evaluation(graph)
        _switch(graph, True)
        net = FakeQuantized(prepare_qat_pt2e(graph, _quantizer()))
    wrapper = {"name": "fake_quantized", "structure": describe(model)}
    net.spec = {**spec, "wrappers": [*spec["wrappers"], wrapper]}
    return net.eval()


def _quantizer():
    """XNNPACK's, with another fake quantizer for weights: the fused one rounds channels whose weights have one sign
    asymmetrically in training, but the conversion rounds them symmetrically, so that the file would differ from what was
    trained. This one takes the range of the present weights.
    """
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config
    from torchao.quantization.pt2e import FakeQuantize, MovingAveragePerChannelMinMaxObserver

    config = get_symmetric_quantization_config(is_per_channel=True, is_qat=True)
    rounding = FakeQuantize.with_args(observer=MovingAveragePerChannelMinMaxObserver, averaging_constant=1.0, eps=2**-12)
    weight = dataclasses.replace(config.weight, observer_or_fake_quant_ctr=rounding)
    return XNNPACKQuantizer().set_global(dataclasses.replace(config, weight=weight))
