"""How small and fast a network can be: students as int8 files against the float baseline's ONNX file, and the goals set for them.

`python benchmarks/frontier.py` trains every network of `frontier_networks.py` that has no file yet (hours on one core; it may be
stopped between two of them), exports and measures all in one session, and prints the tables. With `--trained` only the networks
that are there are measured, in minutes. Losses are paired with the float baseline item by item; intervals are the wider of the
mean over seeds of those over items, and Student's t over seeds. Files are chosen by their validation score.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from frontier_networks import NETWORKS, network, stored
from torch import nn

from edgebook.compress.quantize.equalize import equalize
from edgebook.experiment.notebook import Notebook, start, version
from edgebook.experiment.sweep import measure
from edgebook.metrics import intervals
from edgebook.parameters import notebook_defaults
from edgebook.paths import measurements_dir, reports_dir
from edgebook.report.aggregate import grouped, ok
from edgebook.report.effects import Effect, effect
from edgebook.rows import Row
from edgebook.runtimes.base import Quant
from edgebook.tasks import load_task

Line = dict[str, Any]  # the figures of one file
CHANNEL, TENSOR = Quant(), Quant(granularity="tensor")
FILES = {"per channel": (CHANNEL, False), "per tensor": (TENSOR, False), "equalized, per tensor": (TENSOR, True)}


@dataclass(frozen=True)
class Goal:
    """A task's files within limits that need no test score; the best on validation has to reach `bound` in the column `by`."""

    text: str
    task: str
    within: Callable[[Line], bool]
    by: str
    bound: float


GOALS = (
    Goal(
        "at most 1.0 point lost, 25x smaller, 25x faster",
        *("fashion_mnist", lambda t: t["smaller"] >= 25 and t["faster"] >= 25, "loss_lo", -1.0),
    ),
    Goal(
        "at most 0.5 points lost, 15x smaller, 20x faster",
        *("fashion_mnist", lambda t: t["smaller"] >= 15 and t["faster"] >= 20, "loss_lo", -0.5),
    ),
    Goal(
        "90.0 % with 7,659 parameters in 10 kB",
        *("fashion_mnist", lambda t: t["params"] <= 7659 and t["bytes"] <= 10_000, "score_lo", 90.0),
    ),
    Goal("92.0 % in 24 kB", "fashion_mnist", lambda t: t["bytes"] <= 24_000, "score_lo", 92.0),
    Goal("93.0 % in 64 kB", "fashion_mnist", lambda t: t["bytes"] <= 64_000, "score_lo", 93.0),
    Goal("1,300 parameters within 2 points of conv1d's 5,210", "mnist1d", lambda t: t["params"] <= 1300, "loss_lo", -2.0),
)


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(1)
    wanted = [(name, seed) for name, seed in product(arguments.names, arguments.seeds) if _has_seeds(name) or seed == 0]
    if arguments.trained:
        wanted = [pair for pair in wanted if stored(*pair, arguments.networks).exists()]
    tables, texts = {}, []
    for task in sorted({NETWORKS[name].task for name, _ in wanted}):
        of_task = sorted((pair for pair in wanted if NETWORKS[pair[0]].task == task), key=lambda pair: _order(*pair))
        data = load_task(task)
        nets = {(name, seed): network(name, seed, arguments.networks, data) for name, seed in of_task}
        if not arguments.train:
            run, rows = _measured(task, nets, arguments.seconds)
            tables[task] = lines(run, rows)
            texts += [_text(task, tables[task], gains(run, rows))]
    page = "\n".join([_markdown(goals(tables)), *texts]) if tables else ""
    print(page)
    if arguments.write:
        arguments.write.write_text(page, encoding="utf-8")


def _has_seeds(name: str) -> bool:
    """Whether a network is trained several times: students and their controls."""
    return NETWORKS[name].role == "version" or bool(NETWORKS[name].control_of)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--names", nargs="+", default=list(NETWORKS), choices=list(NETWORKS), metavar="NAME", help="of networks")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="of the students; baselines and teachers have 0")
    parser.add_argument("--networks", type=Path, default=reports_dir() / "frontier" / "networks", help="folder of trained ones")
    parser.add_argument("--trained", action="store_true", help="leave out what has no file there")
    parser.add_argument("--train", action="store_true", help="train and stop")
    parser.add_argument("--write", type=Path, help="also write the tables to this file, as Markdown")
    parser.add_argument("--seconds", type=float, default=2.0, help="of timing per file")
    return parser.parse_args()


def _measured(task: str, nets: dict[tuple[str, int], nn.Module], seconds: float) -> tuple[Path, list[Row]]:
    """The run's folder, and the rows of all files of a task's networks, timed in one session."""
    first, _ = next(iter(nets))
    if NETWORKS[first].role != "baseline":
        raise SystemExit(f"{task}: its baseline is neither named nor trained; nothing to compare with")
    book = {"task": task, "model": NETWORKS[first].model, "run": "frontier", "runtimes": ["litert"], "measure_s": seconds}
    nb = start("48_students", notebook_defaults("48_students") | book)
    for (name, seed), net in nets.items():
        _versions(nb, name, seed, net)
    shutil.rmtree(measurements_dir(nb.run_dir, nb.execution), ignore_errors=True)  # what was measured before is another session
    rows = measure(nb)
    for row in rows:
        if row["status"] != "ok":
            print(f"{row['label']} in {row['runtime']}: {row['status']}: {row['error']}")
    return nb.run_dir, rows


def _order(name: str, seed: int) -> tuple[bool, int, int]:
    return NETWORKS[name].role != "baseline", list(NETWORKS).index(name), seed


def _versions(nb: Notebook, name: str, seed: int, net: nn.Module) -> None:
    """What a network is measured as: a float file in ONNX Runtime, or int8 files in LiteRT; controls one file each."""
    training = NETWORKS[name]
    how = {"role": training.role, "asked": {"network": name, "training_seed": seed}}
    how["family"] = {"baseline": "baseline", "version": "distill", "control": "scratch"}[training.role]
    if training.is_float:
        with version(nb, training.role, label=name, runtimes=["onnx"], **how) as made:
            made.model = net
        return
    for kind, (quant, is_equalized) in FILES.items() if training.role == "version" else [("per channel", (CHANNEL, False))]:
        with version(nb, "train", label=f"{name}, {kind}", quants=[quant], runtimes=["litert"], **how) as made:
            made.model = equalize(net, nb.task) if is_equalized else net
            made.model.seconds = net.seconds


def lines(run: Path, rows: list[Row]) -> list[Line]:
    """One line per file, its seeds together."""
    rows = [row for row in ok(rows) if row["samples"]]
    base = next(row for row in rows if row["role"] == "baseline" and row["runtime"] == "onnx")
    files = [row for row in rows if row["role"] != "baseline" or row is base]
    return [
        {"task": base["task"], "file": label, "role": group[0]["role"], **_figures(run, group, base)}
        for (label,), group in grouped(files, ("label",)).items()
    ]


def _figures(run: Path, group: list[Row], base: Row) -> dict[str, Any]:
    """The columns of one file; latencies are those of the session that all files were timed in."""
    loss = effect(run, [(row, base) for row in group], label="", on="")
    scores = [row["score"] for row in group]
    low, high = _mean(group, "score_lo"), _mean(group, "score_hi")
    if len(group) > 1:
        over = intervals.over_seeds(scores)
        low, high = min(low, over["lo"]), max(high, over["hi"])
    size, latency = _mean(group, "size_bytes"), _mean(group, "latency_ms_p50") if base["latency_ms_p50"] else float("nan")
    score = {"val": _mean(group, "val_score"), "score": _mean(group, "score"), "score_lo": low, "score_hi": high}
    lost = {"loss": loss.delta, "loss_lo": loss.lo, "loss_hi": loss.hi}
    return {
        **{"params": group[0]["n_params"], "macs": group[0]["macs"], "bytes": size, "smaller": base["size_bytes"] / size},
        **{"us": 1000 * latency, "faster": (base["latency_ms_p50"] or 0.0) / latency},
        **{name: 100 * value for name, value in (score | lost).items()},
        **{"train_s": sum((row["extra"].get("train_s") or 0.0) for row in group) / len(group), "seeds": len(group)},
    }


def _mean(rows: list[Row], column: str) -> float:
    return sum(row[column] for row in rows) / len(rows)


def gains(run: Path, rows: list[Row]) -> list[Effect]:
    """For every control the score of its student minus its own, file per channel by file per channel, seed by seed."""
    files = {}
    for row in ok(rows):
        if row["samples"] and row["asked"].get("granularity") == "channel":
            files[row["asked"]["network"], row["asked"]["training_seed"]] = row
    controls = {name: training.control_of for name, training in NETWORKS.items() if training.control_of}
    effects = []
    for name, student in controls.items():
        seeds = [seed for other, seed in files if other == name and (student, seed) in files]
        if seeds:
            pairs = [(files[student, seed], files[name, seed]) for seed in seeds]
            effects.append(effect(run, pairs, label=f"{student}, distilled, against {name}", on=""))
    return effects


def goals(tables: dict[str, list[Line]]) -> pd.DataFrame:
    """One line per goal: the file that is best on validation within its limits, and whether its lower end gets there."""
    return pd.DataFrame([_judged(goal, tables.get(goal.task, [])) for goal in GOALS])


def _judged(goal: Goal, files: list[Line]) -> dict[str, str]:
    inside = [file for file in files if file["role"] == "version" and goal.within(file)]
    if not inside:
        return {"goal": goal.text, "answer": "no file within the limits"}
    best = max(inside, key=lambda file: file["val"])
    return {"goal": goal.text, "answer": "reached" if best[goal.by] >= goal.bound else "not reached", **_shown(best)}


def _text(task: str, files: list[Line], effects: list[Effect]) -> str:
    """The table of one task, smallest files first, and a sentence per control."""
    head = (
        f"\n{task}: score and loss in points with 95 % intervals, sizes and times against the float baseline in ONNX Runtime.\n"
    )
    shown = pd.DataFrame([_shown(file) for file in sorted(files, key=lambda file: file["bytes"])])
    return "\n".join([head, _markdown(shown), *(f"- {gain.label}: {gain.text} points, {gain.verdict}." for gain in effects)])


def _shown(line: Line) -> dict[str, str]:
    """One file for people."""
    return {
        "file": line["file"],
        "parameters": f"{line['params']:,}",
        "MACs": f"{line['macs']:,}",
        "bytes": f"{line['bytes']:,.0f}",
        "smaller": f"{line['smaller']:.1f}x",
        "us": f"{line['us']:.2f}",
        "faster": f"{line['faster']:.1f}x",
        "validation": f"{line['val']:.2f}",
        "test": f"{line['score']:.2f} ({line['score_lo']:.2f} to {line['score_hi']:.2f})",
        "difference": f"{line['loss']:+.2f} ({line['loss_lo']:+.2f} to {line['loss_hi']:+.2f})",
        "training s": f"{line['train_s']:.0f}" if line["train_s"] else "unknown",
        "seeds": str(line["seeds"]),
    }


def _markdown(table: pd.DataFrame) -> str:
    cells = [list(table.columns), ["---"] * len(table.columns), *table.fillna("").to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells) + "\n"


if __name__ == "__main__":
    main()
