"""The whole chain in one call: fewer channels or a student, a teacher, and rounding in the loop at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from edgebook.compress.distill.outputs import distill
from edgebook.compress.prune.channels import prune
from edgebook.compress.quantize.qat import qat
from edgebook.errors import BadInput
from edgebook.tasks.task import Task
from edgebook.training.chain import chain
from edgebook.training.loop import evaluate
from edgebook.training.recipe import Recipe
from edgebook.training.teacher import Teacher


def recipe(
    model: nn.Module,
    task: Task,
    float_recipe: Recipe,
    qat_recipe: Recipe,
    *,
    teacher: Teacher,
    macs_ratio: float = 0.0,
    soft_weight: float = 0.9,
    temperatures: Sequence[float] = (4.0,),
    round_to: int = 8,
) -> nn.Module:
    """The network pruned, distilled, and trained with int8 rounding under the same teacher, as a FakeQuantized to export.

    model: a trained network, of which the share `macs_ratio` of the multiply-accumulates is removed, or with 0 a student as
    it is. float_recipe, qat_recipe: how it is trained before, and with rounding (in float32). The chain runs once per
    temperature, each of its stages kept in the store, and the best on validation is returned: `history` is that of its QAT,
    each epoch with the `temperature`; `seconds` is what all temperatures cost. Raises as `prune`, `distill` and `qat` do, and
    BadInput without temperatures.
    """
    if not temperatures:
        raise BadInput("temperatures = []; allowed: at least one number above 0")
    fewer = [(prune, {"macs_ratio": macs_ratio, "round_to": round_to, "seed": float_recipe.seed})] if macs_ratio else []
    candidates = []
    for temperature in temperatures:
        soft = {"teacher": teacher, "soft_weight": soft_weight, "temperature": temperature}
        rounding = {"recipe": replace(qat_recipe, dtype="float32"), **soft}
        net = chain(model, task, [*fewer, (distill, {"recipe": float_recipe, **soft}), (qat, rounding)])
        net.history = [{**epoch, "temperature": temperature} for epoch in net.history]
        candidates.append(net)
    best = max(candidates, key=lambda net: evaluate(net, task))
    best.seconds = sum(net.seconds for net in candidates)
    return best
