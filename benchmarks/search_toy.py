"""Do evolution and Q-learning need fewer evaluations than random search? Tiny trainings on MNIST-1D.

    python benchmarks/search_toy.py --evaluations 200 --seeds 5

Every method searches with the same budget and seeds for a high validation accuracy and few parameters. Printed is the share of
random search's evaluations that each needs for random search's final hypervolume (the mean over its seeds), with Student's
interval over the seeds. The accuracy of a genotype is that of one training with its own seed, so every method sees the same.
Half the budget is shown as well. The methods' defaults were tuned on other seeds and on a model of such scores (support vector
regression on 700 genotypes).
"""

from __future__ import annotations

import argparse
import math
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from mnist1d.data import get_dataset_args, make_dataset
from torch import Tensor

from edgebook.models.genotype import Genotype
from edgebook.models.macs import count_params
from edgebook.models.searched import searched
from edgebook.search.audit import compare_to_control, hypervolume_curve
from edgebook.search.history import Aim, Trial
from edgebook.search.space import Space
from edgebook.search.study import search

SPACE = Space(
    (1, 40), n_blocks=(0, 4), widths=(4, 8, 16, 24), kernels=(3, 5),
    stem_widths=(4, 8, 16), stem_kernels=(3, 5), heads=("pool", "flat"),
)  # fmt: skip
AIM = Aim({"score": "maximize", "log10_params": "minimize"})
REFERENCE = {"score": 0.1, "log10_params": 4.0}  # chance, and more parameters than are worth it
METHODS = ("random", "nsga2", "ageing", "q_learning")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--evaluations", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    evaluate = trainer(*signals(), epochs=options.epochs)
    with tempfile.TemporaryDirectory() as folder:
        trials = {
            method: [run(evaluate, Path(folder), method, options.evaluations, seed) for seed in range(options.seeds)]
            for method in METHODS
        }
    curves = {
        method: [hypervolume_curve(several, AIM.objectives, REFERENCE) for several in found] for method, found in trials.items()
    }
    for n in (options.evaluations // 2, options.evaluations):
        print(f"{n} evaluations")
        for method in METHODS:
            print(f"  {method:10}  {compared([c[:n] for c in curves[method]], [c[:n] for c in curves['random']])}")


def compared(curves: list[np.ndarray], controls: list[np.ndarray]) -> str:
    shown = compare_to_control(curves, controls)
    share = f"{shown['share']:.2f} ({shown['share_lo']:.2f} to {shown['share_hi']:.2f})"
    end = np.mean([curve[-1] for curve in curves]) / shown["target"]
    return f"share {share}, reached by {shown['n_reached']} of {shown['n_seeds']}, final hypervolume {end:.3f} of random's"


def run(evaluate: Callable, folder: Path, method: str, n_evaluations: int, seed: int) -> list[Trial]:
    trials = search(SPACE, evaluate, folder, method=method, aim=AIM, n_evaluations=n_evaluations, seed=seed)
    best = max(trials, key=lambda trial: trial.figures["score"])
    print(f"{method} seed {seed}: {best.figures['score']:.3f} by {best.genotype}", flush=True)
    return trials


def signals() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """1,000 signals of MNIST-1D's training set to train on, and 1,000 others of it to validate."""
    data = make_dataset(get_dataset_args())
    x, y = torch.from_numpy(data["x"]).float().unsqueeze(1), torch.from_numpy(data["y"]).long()
    return x[:1000], y[:1000], x[1000:2000], y[1000:2000]


def trainer(x: Tensor, y: Tensor, x_val: Tensor, y_val: Tensor, *, epochs: int) -> Callable[[Genotype], dict[str, float]]:
    """The evaluation of a genotype; each is trained once for all methods."""
    known: dict[str, dict[str, float]] = {}

    def evaluate(genotype: Genotype) -> dict[str, float]:
        line = str(genotype)
        if line not in known:
            torch.manual_seed(zlib.crc32(line.encode()))
            net = train(searched((1, 40), 10, genotype=line), x, y, epochs)
            with torch.no_grad():
                score = (net(x_val).argmax(1) == y_val).float().mean().item()
            known[line] = {"score": score, "log10_params": math.log10(count_params(net))}
        return known[line]

    return evaluate


def train(net: torch.nn.Module, x: Tensor, y: Tensor, epochs: int, *, batch_size: int = 50, lr: float = 0.01) -> torch.nn.Module:
    """The trained net in eval mode."""
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * math.ceil(len(x) / batch_size))
    for _ in range(epochs):
        for items in torch.randperm(len(x)).split(batch_size):
            optimizer.zero_grad()
            F.cross_entropy(net(x[items]), y[items]).backward()
            optimizer.step()
            schedule.step()
    return net.eval()


if __name__ == "__main__":
    main()
