"""One chain of compression: less of the given network or a searched one, a teacher, rounding in the loop, a number format."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from edgebook.boards import verify
from edgebook.compress.distill.outputs import distill
from edgebook.compress.prune.channels import prune
from edgebook.compress.quantize.qat import qat
from edgebook.files import scratch
from edgebook.measure.profile import cost_of_file, file_cost, untrained
from edgebook.metrics.verdicts import standard_error
from edgebook.runtimes.base import Artifact, Quant, runtime
from edgebook.runtimes.export import export
from edgebook.search.fitness import new_net
from edgebook.search.goal import Goal, fits
from edgebook.search.space import Space
from edgebook.tasks.task import Task
from edgebook.training.chain import chain
from edgebook.training.loop import evaluate, infer
from edgebook.training.recipe import Recipe
from edgebook.training.teacher import Teacher

Settings = dict[str, Any]
MACS_RATIOS = (0.0, 0.25, 0.5, 0.75, 0.9)
SOFT_WEIGHTS = (0.0, 0.7)
NUMBERS = {  # name -> number format of the file, and whether the last epochs are trained with its rounding
    "int8": ("int8-static", False),
    "int8, QAT": ("int8-static", True),
    "int16x8": ("int16x8", False),
    "fp32": ("fp32", False),
}
ROUND_TO = 4  # channels
SHORT = 4  # the first training has one epoch for so many of the full one


@dataclass(frozen=True)
class Bench:
    """What every chain starts from and is judged by."""

    task: Task
    given: nn.Module  # the trained baseline
    teacher: Teacher
    space: Space
    recipe: Recipe
    qat_recipe: Recipe
    goal: Goal


def numbers_for(name: str) -> list[str]:
    """The number formats that a runtime has."""
    return [numbers for numbers, (precision, _) in NUMBERS.items() if precision in runtime(name).precisions]


def quants_of(settings: Settings, *, seed: int = 0) -> list[Quant | None]:
    """How the file's numbers are made after training: None where they are floats, or where training has made the integers."""
    precision, rounds = NUMBERS[settings["numbers"]]
    return [None if rounds or precision == "fp32" else Quant(precision, seed=seed)]


def genes_of(settings: Settings, space: Space) -> Settings:
    """The genes among the settings of a chain."""
    return {name: settings[name] for name in space.genes}


def describe(settings: Settings, space: Space) -> str:
    """A chain in words: `stem 8k3s1 | ds 16k3s2 | pool, taught, int8, QAT`."""
    ratio = settings.get("macs_ratio", 0.0)
    given = f"{ratio:.0%} of the MACs removed" if ratio else "the baseline"
    network = str(space.decode(genes_of(settings, space))) if settings["network"] == "searched" else given
    return ", ".join([network, *(["taught"] if settings["soft_weight"] else []), settings["numbers"]])


def start_of(settings: Settings, bench: Bench) -> nn.Module:
    """The network before its training: a searched one, or what pruning leaves of the given one.

    Raises BadInput for genes that cannot be built, Unsupported or RuntimeError where the given network cannot be pruned so.
    """
    if settings["network"] == "searched":
        return new_net(bench.task, bench.space.decode(genes_of(settings, bench.space)), seed=bench.recipe.seed)
    if not settings["macs_ratio"]:
        return bench.given
    arguments = {"macs_ratio": settings["macs_ratio"], "round_to": ROUND_TO, "seed": bench.recipe.seed}
    return chain(bench.given, bench.task, [(prune, arguments)])


def cost_of(net: nn.Module, settings: Settings, bench: Bench) -> dict[str, float]:
    """What the file of an untrained network costs on the board."""
    precision, _ = NUMBERS[settings["numbers"]]
    net = untrained(net, bench.task) if settings["network"] == "searched" else net
    return file_cost(net, bench.task, runtime=bench.goal.runtime, precision=precision, core=bench.goal.core)


def run_chain(
    settings: Settings, bench: Bench, report: Callable[[float], None], kept_file: Path
) -> tuple[dict[str, float], str | None]:
    """(figures, the network's key in the store) of a chain whose file is left at `kept_file`.

    A file that does not fit before training is not trained: the key is None, and there is no score. `report` gets the
    validation score after the short training, and raises where it is not worth to go on.
    """
    net = start_of(settings, bench)
    figures = cost_of(net, settings, bench)
    if not fits(figures, bench.goal):
        return figures, None
    trained = _trained(net, settings, bench, report)
    (quant,) = quants_of(settings, seed=bench.recipe.seed)
    with scratch() as folder:
        artifact = export(trained, bench.task, folder / "net", runtime=bench.goal.runtime, quant=quant)
        figures = cost_of_file(artifact, bench.task, core=bench.goal.core)
        figures |= _scores(trained, quant, bench, folder)
        _keep(artifact, kept_file)
    return figures, getattr(trained, "key", None)


def _trained(net: nn.Module, settings: Settings, bench: Bench, report: Callable[[float], None]) -> nn.Module:
    """The network after its trainings, each found in the store or done once; the given one as it is needs none."""
    soft = {"teacher": bench.teacher, "soft_weight": settings["soft_weight"]}
    if net is not bench.given or settings["soft_weight"]:
        short = replace(bench.recipe, epochs=max(1, bench.recipe.epochs // SHORT))
        report(evaluate(chain(net, bench.task, [(distill, {"recipe": short, **soft})]), bench.task))
        net = chain(net, bench.task, [(distill, {"recipe": bench.recipe, **soft})])
    _, rounds = NUMBERS[settings["numbers"]]
    return chain(net, bench.task, [(qat, {"recipe": bench.qat_recipe, **soft})]) if rounds else net


def _scores(net: nn.Module, quant: Quant | None, bench: Bench, folder: Path) -> dict[str, float]:
    """The validation score of the file, and the standard error of its paired difference to the float network's.

    The file is run by the runtime that it is made from where its own is slow or not here.
    """
    name = runtime(bench.goal.runtime).parent or bench.goal.runtime
    artifact = export(net, bench.task, folder / "scored", runtime=name, quant=quant)
    x, y, metric = bench.task.x_val.numpy(), bench.task.y_val.numpy(), bench.task.metric
    outputs = verify.outputs(name, artifact.path, x)
    scores, given = (metric.item_scores(found, x, y) for found in (outputs, infer(bench.given, bench.task.x_val).numpy()))
    _, low, high = metric.difference(scores, given, y)
    return {"val_score": metric.score(scores, y), "val_error": standard_error(low, high)}


def _keep(artifact: Artifact, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    for file in artifact.files:
        shutil.copyfile(file, path.with_name(file.name.replace(artifact.path.stem, path.name, 1)))
