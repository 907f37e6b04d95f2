"""What will work with a network and data: every technique and runtime tried on a few items, within a minute."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgebook.boards import verify
from edgebook.compress.prune.channels import prune
from edgebook.compress.prune.dependency_groups import obtained, prunable
from edgebook.compress.prune.hidden_units import prune_units
from edgebook.compress.prune.removable import refusals
from edgebook.compress.quantize.qat import qat
from edgebook.devices import fit, load_devices
from edgebook.errors import BadInput, Unsupported, one_line
from edgebook.measure.columns import file_columns
from edgebook.models import build_model
from edgebook.models.macs import count_macs, count_params
from edgebook.models.parametrizations import plain
from edgebook.models.streaming import stream
from edgebook.rows import join, new_row
from edgebook.runtimes.base import Artifact, Quant, runtime
from edgebook.runtimes.export import export
from edgebook.runtimes.quiet import quiet
from edgebook.tasks.task import SPLITS, Task, spread_items
from edgebook.training.finetune import finetune
from edgebook.training.loop import infer, seed_all, train
from edgebook.training.network_check import check_network
from edgebook.training.recipe import Recipe

N_TRAINED, N_COMPARED = (32, 256), 16  # items
MACS = 5_000_000_000  # of all items that are trained on, so that a minute is enough
RECIPE = Recipe(epochs=2, batch_size=32, lr=0.003, device="cpu")
SHARE = 0.5  # of the channels or hidden units that pruning removes
CLOSE = {"fp32": 0.99, "int8-static": 0.8}  # agreement with the network, from which a file computes the same
FORMATS = (("fp32", None), ("int8-static", Quant("int8-static", n_calibration=32)))
RUNTIMES = ("onnx", "litert", "executorch", "tflm", "vela")
REPLACED = {  # what stands in the way, as reasons name it -> what to take instead
    "LayerNorm": "batch norm",
    "GroupNorm": "batch norm",
    "MultiheadAttention": "convolutions or a recurrent layer",
    "cannot be called step by step": "the included gru or lstm with directions: 1, head: last",
    "float model": "a network of the included layers",
    "non-NHWC": "ReLU in place of PReLU after a dense layer",
}


@dataclass(frozen=True)
class Finding:
    """One thing that was tried. works: False where it failed; detail: figures, or the reason in one line."""

    stage: str
    works: bool
    detail: str


@dataclass(frozen=True)
class Subject:
    """The data, few of them, and the network after a little training."""

    task: Task
    net: nn.Module


def examine(
    task: Task, model_name: str, shape: dict[str, Any] | None = None, *, runtimes: tuple[str, ...] = RUNTIMES
) -> Iterator[Finding]:
    """What was found, as it is found: the network itself, its training, techniques, files and the boards that they fit."""
    try:
        seed_all(0)
        model = build_model(model_name, task.input_shape, task.n_outputs, **(shape or {}))
        check_network(model, task)
        macs, needed = count_macs(model, task.input_shape), task.kind.output_shape(task.input_shape, task.n_outputs)
        yield Finding("network", True, f"{count_params(model):,} parameters, {macs:,} MACs, outputs {('n', *needed)}")
        few = _few(task, min(N_TRAINED[1], max(N_TRAINED[0], MACS // max(1, macs))))
        net = train(model, few, RECIPE)
    except (BadInput, Unsupported, RuntimeError, ValueError) as error:
        yield Finding("network", False, one_line(error))
        return
    subject = Subject(few, plain(net))
    for stage, function in STAGES.items():
        if stage not in OF_RECURRENT or _is_recurrent(net):
            yield tried(stage, function, subject)
    for name in runtimes:
        for precision, quant in FORMATS:
            if precision in runtime(name).precisions:
                yield tried(f"{name} {precision}", partial(_file, name=name, quant=quant), subject)


def _few(task: Task, n: int) -> Task:
    """The task with at most n items in each split, evenly spread over it."""
    parts: dict[str, Any] = {}
    for split in SPLITS:
        x, y = getattr(task, f"x_{split}"), getattr(task, f"y_{split}")
        numbers = spread_items(len(x), n)
        parts |= {f"x_{split}": x[numbers], f"y_{split}": y[numbers]}
    return replace(task, **parts, groups={})


def tried(stage: str, function: Callable[[Subject], str], subject: Subject) -> Finding:
    """The finding of one stage; what it raises is the reason, with a replacement where one is known."""
    try:
        return Finding(stage, True, function(subject))
    except Exception as error:  # whatever a technique or an exporter makes of the user's network
        reason = one_line(error)
        instead = next((f"; instead: {layer}" for word, layer in REPLACED.items() if word in reason), "")
        return Finding(stage, False, reason + instead)


def _trains(subject: Subject) -> str:
    """The score after a little training, and parameters that no gradient reaches. Raises RuntimeError where it diverges."""
    task, (x, y) = subject.task, (subject.task.x_train, subject.task.y_train)
    model: Any = subject.net
    outputs = model(x[:N_COMPARED])
    loss = task.kind.loss(outputs, x[:N_COMPARED], y[:N_COMPARED], 0.0)
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    gradients = torch.autograd.grad(loss, list(trained.values()), allow_unused=True)
    unused = [name for name, gradient in zip(trained, gradients, strict=True) if gradient is None]
    if not torch.isfinite(loss):
        raise RuntimeError("the loss is not finite after two epochs")
    score = subject.net.history[-1]["val_score"]
    said = f"{task.metric.label} {score:.3f} on validation after {RECIPE.epochs} epochs of {len(x)} items"
    return f"{said}; no gradient reaches {', '.join(unused[:3])}" if unused else said


def _distils(subject: Subject) -> str:
    finetune(subject.net, subject.task, replace(RECIPE, epochs=1), teacher=subject.net, soft_weight=0.5)
    return "as student and as teacher"


def _prunes(subject: Subject) -> str:
    """Which groups of layers can lose channels, and what half of them saves. Raises Unsupported where there are none."""
    shape = subject.task.input_shape
    groups, refused = prunable(subject.net, shape), refusals(subject.net, shape)
    smaller = prune(subject.net, subject.task, pruning_ratio=SHARE, round_to=1)
    finetune(smaller, subject.task, replace(RECIPE, epochs=1))
    removed = obtained(smaller, subject.net, shape)["macs_removed"]
    said = f"{len(groups) - len(refused)} of {len(groups)} groups of layers; half of their channels are {removed:.0%} of the MACs"
    reasons = "; ".join(f"{name} stays: {reason}" for name, reason in refused.items())
    return f"{said}; {reasons}" if reasons else said


def _prunes_units(subject: Subject) -> str:
    smaller = prune_units(subject.net, subject.task, pruning_ratio=SHARE)
    removed = obtained(smaller, subject.net, subject.task.input_shape)["macs_removed"]
    return f"half of the hidden units are {removed:.0%} of the MACs"


def _trains_quantized(subject: Subject) -> str:
    qat(subject.net, subject.task, replace(RECIPE, epochs=1))
    return "rounding in the loop"


def _streams(subject: Subject) -> str:
    stream(subject.net)
    return "one step per call, the caller carries the state"


def _file(subject: Subject, name: str, quant: Quant | None) -> str:
    """Size, agreement with the network, boards with room. Raises Unsupported, also for a file that computes something else."""
    task, record = subject.task, runtime(name)
    precision = quant.precision if quant else "fp32"
    with tempfile.TemporaryDirectory(prefix="edgebook-") as folder:
        artifact = export(subject.net, task, Path(folder) / "net", runtime=name, quant=quant)
        row = new_row(**join({"runtime": name, "device": "host"}, file_columns(artifact)))
        said = f"{row['size_bytes'] / 1000:.1f} kB"
        if not record.scored_by_source:
            x = task.x_test[:N_COMPARED]
            expected, outputs = infer(subject.net, x).numpy(), _outputs(artifact, x.numpy())
            agreement = task.kind.agreement(outputs.reshape(expected.shape), expected)
            if agreement < CLOSE[precision]:
                raise Unsupported(f"the file agrees with the network on {agreement:.0%} only", code="fidelity")
            said += f", agrees with the network {agreement:.0%}"
    boards = [board for board, device in load_devices().items() if fit(row, device)["fits"]]
    return f"{said}; fits {', '.join(boards)}" if boards else said


def _outputs(artifact: Artifact, x: np.ndarray) -> np.ndarray:
    """What the file gives for items (n, ...). Raises Unsupported, without the place of a file that nobody keeps."""
    try:
        with quiet():
            return verify.outputs(artifact.runtime, artifact.path, x)
    except Exception as error:  # a runtime raises anything for a file that it cannot run
        reason = one_line(error).replace(f"{artifact.path}: ", "")
        raise Unsupported(f"{artifact.runtime} does not run the file: {reason}") from error


def _is_recurrent(net: nn.Module) -> bool:
    return any(isinstance(module, nn.GRU | nn.LSTM) for module in net.modules())


OF_RECURRENT = ("prunes hidden units", "streams")
STAGES: dict[str, Callable[[Subject], str]] = {
    "trains": _trains,
    "distils": _distils,
    "prunes channels": _prunes,
    "prunes hidden units": _prunes_units,
    "trains quantized": _trains_quantized,
    "streams": _streams,
}
