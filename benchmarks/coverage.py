"""How often the intervals of edgebook.metrics.intervals hold the truth, and how often its verdicts are wrong; under a minute.

    python benchmarks/coverage.py > coverage.md

Counts are enumerated, not drawn, where the distribution is known (Wilson, paired difference): those figures are exact.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable

import numpy as np
from scipy.stats import binom

from edgebook.metrics import intervals as stats

PAIRED = [  # items, share that disagree, true difference
    (300, 0.02, 0.0), (300, 0.05, 0.0), (300, 0.05, -0.015), (300, 0.10, -0.03),
    (1000, 0.01, 0.0), (1000, 0.05, 0.0), (1000, 0.05, -0.015), (1000, 0.10, -0.03),
    (10_000, 0.005, 0.0), (10_000, 0.02, -0.015), (10_000, 0.05, 0.0), (10_000, 0.06, -0.015),
]  # fmt: skip
VERDICTS = [(1000, 0.05, 0.0), (1000, 0.05, -0.015), (1000, 0.05, -0.03)] + [
    (10_000, changed, shift) for changed in (0.01, 0.04, 0.06) for shift in (0.0, -0.003, -0.015) if -shift < changed
]


def wilson_coverage(n: int, p: float) -> float:
    """P(the interval holds p), exact."""
    counts = np.arange(n + 1)
    weights = binom.pmf(counts, n, p)
    likely = weights > 1e-9
    held = [lo <= p <= hi for lo, hi in (stats.wilson(int(k), n) for k in counts[likely])]
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
    lo, hi = stats.paired_interval(a, b, n)
    return float((weights * ((lo <= shift) & (shift <= hi))).sum())


def verdict_rates(n: int, changed: float, shift: float) -> dict[str, float]:
    """P(each word), exact."""
    a, b, weights = discordant_counts(n, changed, shift)
    lo, hi = stats.paired_interval(a, b, n)
    words = np.array([stats.verdict(*ends) for ends in zip(lo.flat, hi.flat)])
    return {word: float(weights.flat @ (words == word)) for word in (*stats.SCORE_WORDS, stats.CANNOT_TELL)}


def seeds_coverage(random: np.random.Generator, n: int, draws: int) -> float:
    """Share of t intervals that hold the true mean; accuracies of n seeds, sd 0.4 points."""
    results = (stats.over_seeds(values) for values in random.normal(0.92, 0.004, (draws, n)))
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
    medians = np.array([stats.bootstrap_median(x, n_boot=400)[1:] for x in this[: draws // 4]])
    ends = np.array([stats.paired_ratio(a, b)[1:] for a, b in zip(base, this)])
    called = [stats.speed_verdict(lo, hi) in ("slower", "faster") for lo, hi in ends]
    half = float(np.median(np.log(ends[:, 1] / ends[:, 0]))) / 2
    return [percent(holds(medians)), percent(holds(ends)), percent(half), percent(np.mean(called))]


def holds(ends: np.ndarray) -> float:
    """Share of intervals (n, 2) that hold 1."""
    return float(((ends[:, 0] <= 1) & (ends[:, 1] >= 1)).mean())


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


def table(title: str, head: Iterable[str], lines: Iterable[Iterable[object]]) -> None:
    """Print one markdown table."""
    head = list(head)
    print(f"\n### {title}\n\n| {' | '.join(head)} |\n|{' ---: |' * len(head)}")
    for line in lines:
        print(f"| {' | '.join(str(cell) for cell in line)} |", flush=True)


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
        ([n, percent(changed), percent(shift), percent(paired_coverage(n, changed, shift))] for n, changed, shift in PAIRED),
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
    table(f"latency blocks, 3 % noise in each file, correlation rho ({draws} draws, a quarter for the median)",
          ["n", "rho", "late blocks", "bootstrap_median", "paired_ratio", "its half-width", "A/A called different"],
          ([n, rho, percent(late), *latency_figures(random, n, rho, late, draws)]
           for n in (10, 20, 50) for rho in (0.0, 0.25, 0.5) for late in (0.0, 0.02)))  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=4000, help="simulated sessions a line (default 4000)")
    main(parser.parse_args().draws)
