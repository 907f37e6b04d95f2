"""Do evolution and Q-learning need fewer evaluations than random search? Tiny trainings on MNIST-1D.

    python benchmarks/search_toy.py --evaluations 200 --seeds 5
    python benchmarks/search_toy.py --collect 700 --scores scores.jsonl          # train random genotypes, once
    python benchmarks/search_toy.py --scores scores.jsonl --first-seed 1000      # search a model of their scores, in seconds

Every method searches with the same budget and seeds for a high validation accuracy and few parameters. Printed is the share of
random search's evaluations that each needs for random search's final hypervolume (the mean over its seeds), with Student's
interval over the seeds. The accuracy of a genotype is that of one training with its own seed, so every method sees the same.
Half the budget is shown as well. With --scores the accuracy is what a support vector regression predicts that was fitted to
collected scores; its error is printed. The methods' defaults were tuned on such a model, with other seeds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from mnist1d.data import get_dataset_args, make_dataset
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from torch import Tensor

from edgebook.models.genotype import KINDS, Genotype, parse
from edgebook.models.macs import count_params
from edgebook.models.searched import searched
from edgebook.search.audit import compare_to_control, hypervolume_curve
from edgebook.search.history import Aim, Trial
from edgebook.search.space import Space
from edgebook.search.study import Budget, search

SPACE = Space(
    (1, 40), n_blocks=(0, 4), widths=(4, 8, 16, 24), kernels=(3, 5),
    stem_widths=(4, 8, 16), stem_kernels=(3, 5), heads=("pool", "flat"),
)  # fmt: skip
AIM = Aim({"score": "maximize", "log10_params": "minimize"})
REFERENCE = {"score": 0.1, "log10_params": 4.0}  # chance, and more parameters than are worth it
CONTROL = "random"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--evaluations", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--methods", nargs="+", default=["nsga2", "ageing", "q_learning"], help="beside random search")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--collect", type=int, default=0, metavar="N", help="train N random genotypes into --scores, no search")
    parser.add_argument(
        "--scores", type=Path, help="file of collected scores, one JSON list per line: genotype, score, parameters"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.collect:
        collect(trainer(*signals(), epochs=options.epochs), options.collect, options.scores)
        return
    evaluate = model_of(options.scores) if options.scores else trainer(*signals(), epochs=options.epochs)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    methods = [CONTROL, *options.methods]
    with tempfile.TemporaryDirectory() as folder:
        trials = {
            method: [run(evaluate, Path(folder), method, options.evaluations, seed) for seed in seeds] for method in methods
        }
    curves = {
        name: [hypervolume_curve(found, AIM.objectives, REFERENCE) for found in several] for name, several in trials.items()
    }
    for n in (options.evaluations // 2, options.evaluations):
        print(f"{n} evaluations")
        for method in methods:
            print(f"  {method:10}  {compared([c[:n] for c in curves[method]], [c[:n] for c in curves['random']])}")


def compared(curves: list[np.ndarray], controls: list[np.ndarray]) -> str:
    shown = compare_to_control(curves, controls)
    share = f"{shown['share']:.2f} ({shown['share_lo']:.2f} to {shown['share_hi']:.2f})"
    end = np.mean([curve[-1] for curve in curves]) / shown["target"]
    return f"share {share}, reached by {shown['n_reached']} of {shown['n_seeds']}, final hypervolume {end:.3f} of random's"


def run(evaluate: Callable, folder: Path, method: str, n_evaluations: int, seed: int) -> list[Trial]:
    trials = search(SPACE, evaluate, folder, method=method, aim=AIM, budget=Budget(n_evaluations), seed=seed)
    best = max(trials, key=lambda trial: trial.figures["score"])
    print(f"{method} seed {seed}: {best.figures['score']:.3f} by {best.genotype}", flush=True)
    return trials


def collect(evaluate: Callable, n: int, path: Path) -> None:
    """Append the scores of `n` random genotypes to a file."""
    rng = np.random.default_rng()
    with open(path, "a", encoding="utf-8") as file:
        for _ in range(n):
            genotype = SPACE.decode(SPACE.sample(rng))
            figures = evaluate(genotype)
            file.write(json.dumps([str(genotype), figures["score"], round(10 ** figures["log10_params"])]) + "\n")


def model_of(path: Path) -> Callable[[Genotype], dict[str, float]]:
    """The evaluation by a regression that is fitted to collected scores."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    x, y = np.array([features(parse(line)) for line, *_ in lines]), np.array([score for _, score, _ in lines])
    regression = make_pipeline(StandardScaler(), SVR(C=0.5, epsilon=0.02, gamma=0.01))
    predicted = cross_val_predict(regression, x, y, cv=5)
    print(f"model of {len(y)} scores: R2 {1 - np.var(y - predicted) / np.var(y):.2f} by cross-validation")
    regression.fit(x, y)

    known: dict[str, dict[str, float]] = {}

    def evaluate(genotype: Genotype) -> dict[str, float]:
        line = str(genotype)
        if line not in known:
            seen = features(genotype)
            known[line] = {"score": float(regression.predict([seen])[0]), "log10_params": seen[0] / math.log(10)}
        return known[line]

    return evaluate


def features(genotype: Genotype) -> list[float]:
    """What the regression sees: the logarithm of the parameters, counts, receptive field, and every layer."""
    n_params = count_params(searched((1, 40), 10, genotype=str(genotype)))
    blocks, field, jump = genotype.blocks, genotype.stem.kernel, genotype.stem.stride
    for block in blocks:
        field, jump = field + (block.kernel - 1) * jump, jump * block.stride
    widest = max(block.width for block in (genotype.stem, *blocks))
    sizes = [len(blocks), field, jump, sum(block.skip for block in blocks), widest, blocks[-1].width if blocks else 0]
    counts = [sum(block.kind == kind for block in blocks) for kind in KINDS]
    layers = [[KINDS.index(b.kind), b.width, b.kernel, b.stride, b.skip] for b in blocks] + [[-1, 0, 0, 0, 0]] * (4 - len(blocks))
    stem = [genotype.stem.width, genotype.stem.kernel, genotype.stem.stride, genotype.head == "pool"]
    return [float(value) for value in (math.log(n_params), *sizes, *counts, *stem, *itertools.chain(*layers))]


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
