"""How often the intervals of edgebook.metrics hold the truth, and how often its verdicts are wrong; a few minutes.

    python benchmarks/interval_coverage.py > coverage.md

Counts are enumerated, not drawn, where the distribution is known (Wilson, paired difference): those figures are exact. For
the other metrics see `simulated_metrics`.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable

import numpy as np
from scipy.stats import binom

from edgebook.metrics import METRICS, Metric
from edgebook.metrics.intervals import over_seeds, paired_interval, wilson
from edgebook.metrics.latency import bootstrap_median, paired_ratio
from edgebook.metrics.verdicts import CANNOT_TELL, SCORE_WORDS, speed_verdict, verdict

PAIRED = {  # items -> (share that disagree, true difference)
    300: [(0.02, 0.0), (0.05, 0.0), (0.05, -0.015), (0.10, -0.03)],
    1000: [(0.01, 0.0), (0.05, 0.0), (0.05, -0.015), (0.10, -0.03)],
    10_000: [(0.005, 0.0), (0.02, -0.015), (0.05, 0.0), (0.06, -0.015)],
}
VERDICTS = [(1000, 0.05, 0.0), (1000, 0.05, -0.015), (1000, 0.05, -0.03)] + [
    (10_000, changed, shift) for changed in (0.01, 0.04, 0.06) for shift in (0.0, -0.003, -0.015) if -shift < changed
]

ERRORS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda random, n: random.standard_normal(n),
    "exponential": lambda random, n: random.laplace(0, math.sqrt(0.5), n),
}
SIZES = {"500 + 500": [500, 500], "200 + 20": [200, 20], "10 + 10 + 80": [10, 10, 80], "10 x 30": [30] * 10, "30 x 3": [3] * 30}

# (how many times as large) -> a test set: the metric, item scores of a file and of another one, targets
Draw = Callable[[int], tuple[Metric, np.ndarray, np.ndarray, np.ndarray]]


def wilson_coverage(n: int, p: float) -> float:
    """P(the interval holds p), exact."""
    counts = np.arange(n + 1)
    weights = binom.pmf(counts, n, p)
    likely = weights > 1e-9
    held = [lo <= p <= hi for lo, hi in (wilson(int(k), n) for k in counts[likely])]
    return float(weights[likely] @ held)


def discordant_counts(n: int, changed: float, shift: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All likely (only a right, only b right) and their probabilities."""
    p, q = (changed + shift) / 2, (changed - shift) / 2
    tails = (1e-7, 1 - 1e-7)
    (a_low, a_high), (b_low, b_high) = (binom.ppf(tails, n, share).astype(int) for share in (p, q))
    a, b = np.meshgrid(np.arange(a_low, a_high + 1), np.arange(b_low, b_high + 1), indexing="ij")
    return a, b, binom.pmf(a, n, p) * binom.pmf(b, n - a, q / (1 - p))


def paired_coverage(n: int, changed: float, shift: float) -> float:
    """P(the interval holds the difference), exact."""
    a, b, weights = discordant_counts(n, changed, shift)
    lo, hi = paired_interval(a, b, n)
    return float((weights * ((lo <= shift) & (shift <= hi))).sum())


def verdict_rates(n: int, changed: float, shift: float) -> dict[str, float]:
    """P(each word), exact."""
    a, b, weights = discordant_counts(n, changed, shift)
    lo, hi = paired_interval(a, b, n)
    verdicts = np.array([verdict(*ends) for ends in zip(lo.flat, hi.flat)])
    return {word: float(weights.flat @ (verdicts == word)) for word in (*SCORE_WORDS, CANNOT_TELL)}


def seeds_coverage(random: np.random.Generator, n: int, draws: int) -> float:
    """Share of t intervals that hold the true mean; accuracies of n seeds, sd 0.4 points."""
    results = (over_seeds(values) for values in random.normal(0.92, 0.004, (draws, n)))
    return sum(r["lo"] <= 0.92 <= r["hi"] for r in results) / draws


def latencies(random: np.random.Generator, draws: int, n: int, rho: float, outliers: float) -> np.ndarray:
    """(draws, n) block medians in time order, true median 1: 3 % AR(1) noise, some blocks Cauchy-late."""
    noise = random.standard_normal((draws, n))
    for t in range(1, n):
        noise[:, t] = rho * noise[:, t - 1] + math.sqrt(1 - rho * rho) * noise[:, t]
    late = (random.random((draws, n)) < outliers) * np.abs(random.standard_cauchy((draws, n)))
    return np.exp(0.03 * noise + np.minimum(0.3 * late, 5))


def latency_figures(random: np.random.Generator, n: int, rho: float, outliers: float, draws: int) -> list[str]:
    """Cells: coverage of bootstrap_median, coverage of paired_ratio, its median half-width, A/A called different."""
    base, this = (latencies(random, draws, n, rho, outliers) for _ in range(2))
    medians = np.array([bootstrap_median(x, n_boot=400)[1:] for x in this[: draws // 4]])
    ends = np.array([paired_ratio(a, b)[1:] for a, b in zip(base, this)])
    called = [speed_verdict(lo, hi) in ("slower", "faster") for lo, hi in ends]
    half = float(np.median(np.log(ends[:, 1] / ends[:, 0]))) / 2
    return [percent(holds(medians)), percent(holds(ends)), percent(half), percent(np.mean(called))]


def holds(ends: np.ndarray) -> float:
    """Share of intervals (n, 2) that hold 1."""
    return float(((ends[:, 0] <= 1) & (ends[:, 1] >= 1)).mean())


def metric_figures(draw: Draw, draws: int) -> list[str]:
    """Cells: coverage and median half-width of the interval, then of the paired difference. The truth is the score of a test
    set that is as large as all draws together, and as 400 of them at least.
    """
    metric, a, b, targets = draw(max(draws, 400))
    truth, difference = metric.score(a, targets), metric.score(b, targets) - metric.score(a, targets)
    intervals, differences = [], []
    for _ in range(draws):
        _, a, b, targets = draw(1)
        intervals.append(metric.interval(a, targets))
        differences.append(metric.difference(b, a, targets)[1:])
    return [
        cell
        for ends, value in ((np.array(intervals), truth), (np.array(differences), difference))
        for cell in (percent(np.mean((ends[:, 0] <= value) & (value <= ends[:, 1]))), f"{np.median(np.ptp(ends, 1)) / 2:.4f}")
    ]


def absolute_errors(random: np.random.Generator, n: int, name: str) -> Draw:
    def draw(size: int):
        error = ERRORS[name](random, n * size)
        return METRICS["neg_mean_absolute_error"], -np.abs(error), -np.abs(error + random.normal(0, 0.3, n * size)), error

    return draw


def anomaly_scores(random: np.random.Generator, m: int, n: int, d: float) -> Draw:
    def draw(size: int):
        targets = np.repeat([1, 0], [m * size, n * size])
        shared = math.sqrt(0.9) * random.standard_normal(len(targets))
        a, b = (shared + math.sqrt(0.1) * random.standard_normal(len(targets)) + shift * targets for shift in (d, 0.9 * d))
        return METRICS["auc"], a, b, targets

    return draw


def pixel_classes(random: np.random.Generator, n: int, classes: int) -> Draw:
    shares = np.array([0.6, *[0.4 / (classes - 1)] * (classes - 1)])

    def draw(size: int):
        targets = random.choice(classes, (n * size, 8, 8), p=shares)
        changed = [random.random(targets.shape) < random.beta(1, 6, (n * size, 1, 1)) for _ in "ab"]
        first = np.where(changed[0], random.integers(0, classes, targets.shape), targets)
        second = np.where(changed[1] & (random.random(targets.shape) < 0.3), random.integers(0, classes, targets.shape), first)
        metric = METRICS["mean_iou"]
        a, b = (metric.item_scores(np.moveaxis(np.eye(classes, dtype=np.int8)[p], 3, 1), p, targets) for p in (first, second))
        return metric, a, b, targets

    return draw


def predicted_classes(random: np.random.Generator, sizes: list[int], right: float, name: str) -> Draw:
    k = len(sizes)

    def draw(size: int):
        targets = np.repeat(np.arange(k), np.array(sizes) * size)
        wrong = (targets + random.integers(1, k, len(targets))) % k
        a = np.where(random.random(len(targets)) < right, targets, wrong)
        b = np.where(random.random(len(targets)) < 0.05, random.integers(0, k, len(targets)), a)
        return METRICS[name], a, b, targets

    return draw


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


def table(title: str, head: Iterable[str], lines: Iterable[Iterable[object]]) -> None:
    """Print one markdown table."""
    head = list(head)
    print(f"\n### {title}\n\n| {' | '.join(head)} |\n|{' ---: |' * len(head)}")
    for line in lines:
        print(f"| {' | '.join(str(cell) for cell in line)} |", flush=True)


def simulated_metrics(random: np.random.Generator, draws: int) -> None:
    """Tables of the intervals and paired differences of mean absolute error, AUC, mean IoU, balanced accuracy and macro-F1."""
    head = ["case", "n", "interval", "its half-width", "paired difference", "its half-width"]
    table(
        f"neg_mean_absolute_error, errors of deviation 1 and the other file's with noise of deviation 0.3 more ({draws} draws)",
        head,
        ([name, n, *metric_figures(absolute_errors(random, n, name), draws)] for name in ERRORS for n in (20, 90, 400)),
    )
    table(
        f"auc, normal scores a distance d apart, the other file's 0.9 d, correlation 0.9 ({draws} draws)",
        head,
        (
            [f"d = {d}", f"{m} + {n}", *metric_figures(anomaly_scores(random, m, n, d), draws)]
            for m, n in ((20, 40), (60, 120), (30, 1000), (400, 400))
            for d in (1.0, 2.0, 3.5)
        ),
    )
    table(
        f"mean_iou, items of 64 pixels, a share of each drawn from Beta(1, 6) given a random class ({draws} draws)",
        head,
        ([f"{k} classes", n, *metric_figures(pixel_classes(random, n, k), draws)] for k in (2, 3, 6) for n in (30, 100, 400)),
    )
    for name in ("balanced_accuracy", "macro_f1"):
        table(
            f"{name}, 95 % or 80 % right, the other file gives 5 % of the items a random class ({draws} draws)",
            head,
            (
                [f"{percent(right)} right", label, *metric_figures(predicted_classes(random, sizes, right, name), draws)]
                for label, sizes in SIZES.items()
                for right in (0.95, 0.8)
            ),
        )


def main(draws: int) -> None:
    random = np.random.default_rng(0)
    print("Nominal 95 %. All figures in %, but n and rho.")
    table(
        "wilson (exact)",
        ["n", "p", "coverage"],
        ([n, percent(p), percent(wilson_coverage(n, p))] for n in (300, 1000, 10_000) for p in (0.7, 0.92, 0.99)),
    )
    table(
        "paired_difference (exact)",
        ["n", "items that disagree", "true difference", "coverage"],
        (
            [n, percent(changed), percent(shift), percent(paired_coverage(n, changed, shift))]
            for n, cases in PAIRED.items()
            for changed, shift in cases
        ),
    )
    table(
        "verdict on a score, margin 0.5 points (exact)",
        ["n", "items that disagree", "true difference", "worse", "same", "better", "cannot tell"],
        (
            [n, percent(changed), percent(shift), *map(percent, verdict_rates(n, changed, shift).values())]
            for n, changed, shift in VERDICTS
        ),
    )
    table(
        f"over_seeds ({4 * draws} draws)",
        ["n", "coverage"],
        ([n, percent(seeds_coverage(random, n, 4 * draws))] for n in (2, 3, 5, 10)),
    )
    table(
        f"latency blocks, 3 % noise in each file, correlation rho ({draws} draws, a quarter for the median)",
        ["n", "rho", "late blocks", "bootstrap_median", "paired_ratio", "its half-width", "A/A called different"],
        (
            [n, rho, percent(late), *latency_figures(random, n, rho, late, draws)]
            for n in (10, 20, 50)
            for rho in (0.0, 0.25, 0.5)
            for late in (0.0, 0.02)
        ),
    )
    simulated_metrics(random, max(draws // 8, 20))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=4000, help="simulated sessions a line (default 4000)")
    main(parser.parse_args().draws)
