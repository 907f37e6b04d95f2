"""How small and fast a network can be: every int8 file of a run against the float baseline in ONNX Runtime, over seeds.

`edgebook run frontier`, then `python benchmarks/frontier.py reports/frontier`. Losses are paired with the float baseline of the
same seed, item by item; intervals are the wider of the mean over seeds of those over items, and Student's t over seeds.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from edgebook.metrics import intervals
from edgebook.report.aggregate import grouped, ok
from edgebook.report.effects import effect
from edgebook.rows import Row, read_rows

COLUMNS = ("params", "bytes", "smaller", "us", "faster", "score", "score_lo", "loss", "loss_lo", "loss_hi", "train_s", "seeds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="a run's folder")
    run = parser.parse_args().run
    for (task, model), rows in grouped(ok(read_rows(run)), ("task", "model")).items():
        table = pd.DataFrame(versions(run, rows))
        if not table.empty:
            print(f"\n{task}, baseline {model}: score and loss in points, sizes and times against its float file in ONNX Runtime")
            print(table.sort_values("bytes").to_string(index=False, float_format="{:.2f}".format))
            print(*(f"{goal}: {answer}" for goal, answer in goals(table).items()), sep="\n")


def versions(run: Path, rows: list[Row]) -> list[dict[str, Any]]:
    """One line per int8 version in LiteRT, its seeds together."""
    floats = {(row["seed"], row["session"]): row for row in rows if _is_base(row, "onnx")}
    int8 = [row for row in rows if row["runtime"] == "litert" and row["precision"] == "int8-static" and row["samples"]]
    lines = []
    for (label,), group in grouped(int8, ("label",)).items():
        pairs = [(row, floats[row["seed"], row["session"]]) for row in group if (row["seed"], row["session"]) in floats]
        if pairs:
            lines.append({"version": label, "role": group[0]["role"], **_figures(run, pairs)})
    return lines


def _is_base(row: Row, runtime: str) -> bool:
    return row["role"] == "baseline" and row["precision"] == "fp32" and row["runtime"] == runtime and bool(row["samples"])


def _figures(run: Path, pairs: list[tuple[Row, Row]]) -> dict[str, Any]:
    """COLUMNS of one version: pairs of its row and the baseline's, one per seed."""
    loss = effect(run, pairs, label="", on="")
    mine = [row for row, _ in pairs]
    score, low = _mean([row["score"] for row in mine]), _mean([row["score_lo"] for row in mine])
    if len(mine) > 1:
        low = min(low, intervals.over_seeds([row["score"] for row in mine])["lo"])
    ratios = [(base["size_bytes"] / row["size_bytes"], base["latency_ms_p50"] / row["latency_ms_p50"]) for row, base in pairs]
    figures = (
        *(mine[0]["n_params"], _mean([row["size_bytes"] for row in mine]), _mean([size for size, _ in ratios])),
        *(1000 * _mean([row["latency_ms_p50"] for row in mine]), _mean([speed for _, speed in ratios])),
        *(100 * score, 100 * low, 100 * loss.delta, 100 * loss.lo, 100 * loss.hi),
        *(_mean([row["extra"].get("train_s") or 0.0 for row in mine]), len(mine)),
    )
    return dict(zip(COLUMNS, figures, strict=True))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def goals(table: pd.DataFrame) -> dict[str, str]:
    """What was aimed at -> the version that comes nearest, and whether it gets there."""
    ships = table[table["role"] == "version"]
    wanted = {
        "at most 1.0 point lost, 25 times smaller and faster": (ships["loss_lo"] >= -1.0, ("smaller", 25), ("faster", 25)),
        "same within 0.5 points, 15 times smaller, 20 times faster": (ships["loss_lo"] > -0.5, ("smaller", 15), ("faster", 20)),
        "lower end 90.0 % in 10 kB and 7,659 parameters": (ships["params"] <= 7659, ("score_lo", 90.0), ("bytes", -10_000)),
        "lower end 92.0 % in 24 kB": (ships["bytes"] <= 24_000, ("score_lo", 92.0)),
        "lower end 93.0 % in 64 kB": (ships["bytes"] <= 64_000, ("score_lo", 93.0)),
    }
    return {goal: _nearest(ships, *conditions) for goal, conditions in wanted.items()}


def _nearest(ships: pd.DataFrame, mask: pd.Series, *bounds: tuple[str, float]) -> str:
    """The version within the mask that is nearest to all bounds (a negative one: at most)."""
    if not mask.any():
        return "no version within the first limit"
    ratios = [ships[name] / bound if bound > 0 else -bound / ships[name] for name, bound in bounds]
    worst = pd.concat(ratios, axis=1).min(axis=1)[mask]
    best = ships.loc[worst.idxmax()]
    shown = ", ".join(
        f"{name} {best[name]:.2f}" for name in ("smaller", "faster", "score", "score_lo", "loss", "loss_lo", "loss_hi")
    )
    return f"{'reached' if worst.max() >= 1 else 'not reached'} by {best['version']}: {best['bytes']:.0f} bytes, {shown}"


if __name__ == "__main__":
    main()
