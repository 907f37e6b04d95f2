"""Does a search find a net that scores no lower than a hand-made one and is smaller? On MNIST-1D and Fashion-MNIST.

    python benchmarks/search_control.py mnist1d
    python benchmarks/search_control.py fashion_mnist --seeds 1

NSGA-II searches by a short training on part of the data; nets past the limit on parameters or on file bytes are not trained. The
best by that score are trained longer, the best of them on validation is the winner. Winner and control are then trained with
one recipe and the same seeds, exported to static int8 LiteRT files and scored on the test set: the difference is paired, item by
item; its interval is the wider of the mean over seeds of those over items and Student's t over seeds. Trials and trained nets
are kept (--folder, EDGEBOOK_STORE), so a run that is killed goes on where it was.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgebook.files import scratch
from edgebook.measure.profile import file_cost, untrained
from edgebook.metrics import intervals
from edgebook.models import build_model
from edgebook.models.macs import count_macs, count_params
from edgebook.runtimes.base import Quant, runtime
from edgebook.runtimes.export import export
from edgebook.search.audit import rank_correlation
from edgebook.search.budget import check_reachable
from edgebook.search.fitness import costs_of, new_net, proxy, untrained_costs
from edgebook.search.history import Aim, Trial, meets
from edgebook.search.space import Space
from edgebook.search.study import Budget, search
from edgebook.tasks import load_task
from edgebook.tasks.task import Task
from edgebook.training.loop import seed_all, train
from edgebook.training.recipe import Recipe
from edgebook.training.store import cached

RUNTIME = "litert"


@dataclass(frozen=True)
class Plan:
    """One comparison. share: of the control's `cost` that the winner may have. longer: the training of the `n_longer` best."""

    control: str
    control_shape: dict[str, Any]
    cost: str
    share: float
    space: dict[str, tuple]
    proxy: Recipe
    proxy_items: int
    n_evaluations: int
    longer: Recipe
    n_longer: int
    full: Recipe


PLANS = {
    "mnist1d": Plan(
        "conv1d",
        {},
        "n_params",
        0.5,
        {
            "n_blocks": (1, 4),
            "widths": (8, 12, 16, 24),
            "stem_widths": (8, 12),
            "stem_kernels": (3, 5, 7),
            "heads": ("pool", "flat"),
        },
        proxy=Recipe(8, 50, lr=0.01),
        proxy_items=2000,
        n_evaluations=40,
        longer=Recipe(30, 100, lr=0.01),
        n_longer=5,
        full=Recipe(150, 100, lr=0.01),  # the published recipe: Adam, 6,000 steps
    ),
    "fashion_mnist": Plan(
        "edge_cnn",
        {"widths": [8, 16, 16, 32, 32], "strides": [2, 1, 2, 1, 2], "kernel": 5},
        "size_bytes",
        0.8,
        {"n_blocks": (3, 6), "kinds": ("plain",), "widths": (8, 16, 24, 32), "kernels": (3,), "stem_widths": (8, 16)},
        proxy=Recipe(2, 64, lr=0.01, dtype="bfloat16"),
        proxy_items=6000,
        n_evaluations=32,
        longer=Recipe(2, 128, lr=0.01, dtype="bfloat16"),
        n_longer=9,  # ranks by so few steps say little, and favour nets that learn fast
        full=Recipe(16, 128, lr=0.01, weight_decay=1e-4, dtype="bfloat16"),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=PLANS)
    parser.add_argument("--seeds", type=int, default=3, help="trainings of winner and control, each")
    parser.add_argument("--evaluations", type=int, help="of the search")
    parser.add_argument("--epochs", type=int, help="of the full training")
    parser.add_argument("--folder", type=Path, default=Path("reports/search_control"), help="of the trials")
    options = parser.parse_args()
    torch.set_num_threads(1)
    task, plan = load_task(options.task), PLANS[options.task]
    plan = replace(plan, n_evaluations=options.evaluations or plan.n_evaluations)
    plan = replace(plan, full=replace(plan.full, epochs=options.epochs or plan.full.epochs))
    winner = found(task, plan, options.folder / task.name)
    compare(task, plan, winner, range(options.seeds))


def found(task: Task, plan: Plan, folder: Path) -> str:
    """The line of the searched net with the best validation score after the longer training."""
    control = control_of(task, plan)
    figures = {"n_params": count_params(control), **file_cost(untrained(control, task), task, runtime=RUNTIME)}
    limits = {plan.cost: plan.share * figures[plan.cost]}
    print(f"{task.name}: {plan.control} has {figures[plan.cost]:.0f} {plan.cost}; at most {limits[plan.cost]:.0f} are searched")
    space, costs = Space(task.input_shape, **plan.space), costs_of([plan.cost])
    check_reachable(space, limits, untrained_costs(task, costs))
    judge = proxy(task, plan.proxy, costs=costs, limits=limits, n_items=plan.proxy_items)
    aim, started, cpu = Aim({"score": "maximize", plan.cost: "minimize"}, limits), time.perf_counter(), time.process_time()
    trials = search(space, judge, folder, method="nsga2", aim=aim, budget=Budget(plan.n_evaluations))
    spent = sum(trial.seconds for trial in trials)
    print(f"search: {len(trials)} nets, {spent:.0f} s in all; now {time.process_time() - cpu:.0f} s of CPU", flush=True)
    best = longest(task, plan, [trial for trial in trials if trial.error is None and meets(trial.figures, limits)])
    print(f"searched in {time.perf_counter() - started:.0f} s, {time.process_time() - cpu:.0f} s of CPU: {best}", flush=True)
    return best


def longest(task: Task, plan: Plan, trials: list[Trial]) -> str:
    """Train the best by the proxy longer; the best of them."""
    chosen = sorted(trials, key=lambda trial: -trial.figures["score"])[: plan.n_longer]
    scores = []
    for trial in chosen:
        net = cached(train, new_net(task, trial.genotype, seed=0), task, recipe=plan.longer)
        scores.append(max(epoch["val_score"] for epoch in net.history))
        short, cost = trial.figures["score"], trial.figures[plan.cost]
        print(f"  {short:.4f} then {scores[-1]:.4f} on validation, {cost:.0f} {plan.cost}: {trial.genotype}", flush=True)
    if len(set(scores)) > 1 and len(scores) >= 5:
        shown = rank_correlation([trial.figures["score"] for trial in chosen], scores)
        print(f"  rank correlation of the two {shown['r']:.2f} ({shown['lo']:.2f} to {shown['hi']:.2f})")
    return str(chosen[int(np.argmax(scores))].genotype)


def compare(task: Task, plan: Plan, winner: str, seeds: range) -> None:
    """Winner against control, trained alike with each seed: a line per seed, then the differences over seeds."""
    differences, sizes = [], []
    for seed in seeds:
        recipe = replace(plan.full, seed=seed)
        nets = {"searched": new_net(task, winner, seed=seed), plan.control: control_of(task, plan, seed=seed)}
        files = [file_of(cached(train, net, task, recipe=recipe), task, name) for name, net in nets.items()]
        (mine, my_bytes), (theirs, their_bytes) = files
        sizes.append(my_bytes / their_bytes)
        differences.append(task.metric.difference(mine, theirs, task.y_test.numpy()))
        delta, low, high = (task.metric.scale * value for value in differences[-1])
        print(f"seed {seed}: {delta:+.2f} ({low:+.2f} to {high:+.2f}) {task.metric.difference_unit}", flush=True)
    delta, low, high = (task.metric.scale * value for value in together(differences))
    word = "better" if low > 0 else "worse" if high < 0 else "cannot tell"
    verdict = f"{word}: {delta:+.2f} ({low:+.2f} to {high:+.2f}) {task.metric.difference_unit} over {len(differences)} seeds"
    print(f"{winner}\n  {verdict}, at {max(sizes):.2f} of the control's bytes")


def together(differences: list[tuple[float, float, float]]) -> tuple[float, float, float]:
    """The mean over seeds, with the wider of the mean interval over items and Student's t over seeds."""
    delta, low, high = np.mean(differences, axis=0)
    over = intervals.over_seeds([each[0] for each in differences])
    if over["lo"] is None:
        return delta, low, high
    return delta, min(low, over["lo"]), max(high, over["hi"])


def file_of(net: nn.Module, task: Task, name: str) -> tuple[np.ndarray, int]:
    """The item scores of a net's int8 file on the test set, and its bytes; its figures are printed."""
    x, y = task.x_test.numpy(), task.y_test.numpy()
    with scratch() as folder:
        artifact = export(net, task, folder / "net", runtime=RUNTIME, quant=Quant())
        outputs = runtime(RUNTIME).side("load").load(artifact.path, threads=1, shape=task.input_shape).predict(x)
        size = artifact.size_bytes
    items = task.metric.item_scores(outputs, x, y)
    score = task.metric.scale * task.metric.score(items, y)
    low, high = (task.metric.scale * end for end in task.metric.interval(items, y))
    counts = f"{count_params(net)} parameters, {count_macs(net, task.input_shape)} MACs, {size} bytes"
    print(f"  {name}: {score:.2f} {task.metric.unit} ({low:.2f} to {high:.2f}), {counts}, {net.seconds:.0f} s", flush=True)
    return items, size


def control_of(task: Task, plan: Plan, *, seed: int = 0) -> nn.Module:
    seed_all(seed)
    return build_model(plan.control, task.input_shape, task.n_outputs, **plan.control_shape)


if __name__ == "__main__":
    main()
