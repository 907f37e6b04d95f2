"""Training with the rounding in the loop: one run, one set of integers, a file for each runtime that takes them."""

from __future__ import annotations

import copy
import dataclasses
import logging
import warnings

import torch
from torch import Tensor, nn

from edgebook.errors import BadInput, Unsupported
from edgebook.tasks import Task
from edgebook.training import store
from edgebook.training.finetune import of_recipe, taught
from edgebook.training.loop import train

LARGEST_BATCH = 4096


class FakeQuantized(nn.Module):
    """A net whose weights and activations are rounded as it runs, with gradients passed through (torchao's PT2E graph).

    `integers(fold=)` is the same net with real integers, for the exporters. Its ranges follow the data in training mode
    until `freeze`; in eval mode they never move, so that no validation or test item can set them.
    """

    precision = "int8-static"

    def __init__(self, graph: nn.Module):
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
        """The graph with quantize and dequantize nodes; `fold` turns the weights into stored integers."""
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

        return convert_pt2e(copy.deepcopy(self.eval().graph), fold_quantize=fold)


def _switch(graph: nn.Module, training: bool) -> None:
    """Put an exported graph into a mode: the argument of each batch norm and dropout that says so. torchao's own switch
    matches patterns, which takes seconds at every epoch.
    """
    aten = torch.ops.aten
    places = {aten.batch_norm.default: 5, aten.dropout.default: 2, aten.dropout_.default: 2}
    for node in graph.graph.nodes:
        if (place := places.get(node.target)) is not None:
            node.update_arg(place, training)
    graph.recompile()


def prepare(model: nn.Module) -> FakeQuantized:
    """The model with fake quantization: int8 weights for each output channel, int8 activations, batch norm folded as it
    trains. A copy. Raises Unsupported for recurrent nets, whose loops PT2E leaves float, and for batch norms with another
    eps than PyTorch's, which PT2E would silently set. Source: Jacob et al. 2018, section 3.
    """
    if any(isinstance(module, nn.RNNBase) for module in model.modules()):
        raise Unsupported("qat: recurrent layers stay float in PT2E; it has convolutions and dense layers")
    norms = (nn.BatchNorm1d, nn.BatchNorm2d)
    if other := {module.eps for module in model.modules() if isinstance(module, norms)} - {1e-5}:
        raise Unsupported(f"qat: batch norm with eps {', '.join(map(str, sorted(other)))}; PT2E has 1e-05")
    batch = {0: torch.export.Dim("batch", min=1, max=LARGEST_BATCH)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for talker in ("torchao", "torch.utils._pytree"):
            logging.getLogger(talker).setLevel(logging.ERROR)
        from torchao.quantization.pt2e.quantize_pt2e import prepare_qat_pt2e

        twin = copy.deepcopy(model).cpu().train()
        program = torch.export.export(twin, (torch.zeros(8, *model.spec["input_shape"]),), dynamic_shapes=(batch,), strict=False)
        net = FakeQuantized(prepare_qat_pt2e(program.module(), _quantizer()))
    net.spec = {**model.spec, "wrapped_by": "edgebook.compress.quantize.qat:prepare", "sizes": store.leaf_sizes(model)}
    return net.eval()


def _quantizer():
    """XNNPACK's, with its weights' fake quantizer replaced: the fused one rounds channels of one sign asymmetrically in
    training, and the conversion symmetrically, so that file and training disagree. Ours takes the present weights' range.
    """
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config
    from torchao.quantization.pt2e import FakeQuantize, MovingAveragePerChannelMinMaxObserver

    config = get_symmetric_quantization_config(is_per_channel=True, is_qat=True)
    rounding = FakeQuantize.with_args(observer=MovingAveragePerChannelMinMaxObserver, averaging_constant=1.0, eps=2**-12)
    weight = dataclasses.replace(config.weight, observer_or_fake_quant_ctr=rounding)
    return XNNPACKQuantizer().set_global(dataclasses.replace(config, weight=weight))


def qat(
    model: nn.Module, task: Task, *, epochs: int, teacher: nn.Module | None = None, soft_weight: float = 0.5,
    temperature: float = 4.0, freeze_at: float = 0.75, **recipe,
) -> nn.Module:  # fmt: skip
    """The model fine-tuned with int8 rounding in the loop, as a FakeQuantized; `recipe` goes to `train`. Ranges freeze
    after `freeze_at` of the steps. With a `teacher` (the float model), its softened outputs get `soft_weight` of the loss.
    Raises BadInput for a share outside [0, 1], `taught`'s only with a teacher.
    """
    if not 0 <= freeze_at <= 1:
        raise BadInput(f"freeze_at = {freeze_at}; allowed: 0 to 1")
    last = int(freeze_at * epochs * -(-len(task.x_train) // recipe.get("batch_size", 128)))
    loss = None
    if teacher is not None:
        loss = taught(teacher, soft_weight=soft_weight, temperature=temperature, **of_recipe(recipe))

    def freeze(net: nn.Module, step: int) -> None:
        if step == last:
            net.freeze()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PyTorch's own, at every copy of an exported graph
        net = train(prepare(model), task, epochs=epochs, loss=loss, after_step=freeze, **recipe)
    net.freeze()
    return net
