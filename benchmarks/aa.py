"""Can the measurements be trusted? The same file against itself, a known slow-down, repeats, the runtime's own benchmark.

    python benchmarks/aa.py > aa.md          # about 6 minutes on a machine that does nothing else; --quick: 2

A resnet8 on Fashion-MNIST in four files (ONNX and LiteRT, float and int8), and each of them with a few more convolutions
in front: about 5 % more work, how much exactly is what a long session says.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from interval_coverage import percent, table
from torch import nn

from edgebook import lock
from edgebook.measure import machine
from edgebook.measure.latency import latency_columns, speed_columns
from edgebook.measure.session import Measured, measure_files
from edgebook.metrics.intervals import paired_difference
from edgebook.metrics.verdicts import CANNOT_TELL, SCORE_WORDS, verdict
from edgebook.models import build_model
from edgebook.runtimes.base import Artifact, Quant
from edgebook.runtimes.base import runtime as record_of
from edgebook.runtimes.calibration import calibration_items
from edgebook.runtimes.quiet import quiet
from edgebook.tasks import load_task
from edgebook.tasks.task import Task
from edgebook.training.loop import seed_all, train
from edgebook.training.recipe import Recipe
from edgebook.training.store import cached

FORMATS = [(runtime, precision) for runtime in ("onnx", "litert") for precision in ("fp32", "int8-static")]
RECIPE = Recipe(epochs=4, device="cpu")

FINER = """
import time
clock = time.perf_counter
time.perf_counter = lambda: 1000 * clock()  # it rounds to 10 us: a clock that runs faster shows them
from ai_edge_litert.tools.benchmark_litert_model import main
main()
"""


class Slower(nn.Module):
    """The net behind `extra` small convolutions that change nothing: a known amount of work on top."""

    def __init__(self, net: nn.Module, extra: int):
        super().__init__()
        self.net, self.more = net, nn.ModuleList(nn.Conv2d(1, 1, 3, padding=1, bias=False) for _ in range(extra))
        for conv in self.more:
            nn.init.dirac_(conv.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for conv in self.more:
            x = torch.relu(conv(x))
        return self.net(x)


def export(net: nn.Module, task: Task, folder: Path, runtime: str, precision: str, extra: int) -> Artifact:
    """One file, not from the store: `Slower` is no model of the project."""
    record = record_of(runtime)
    side, path = record.side("export"), folder / f"{runtime}-{precision}-{extra}{record.extension}"
    floating = path if precision == "fp32" else path.with_stem(path.stem + "-float")
    with quiet():
        side.convert(Slower(net, extra).eval().requires_grad_(False), task.x_train[:1], floating)
        if precision != "fp32":
            quant = Quant(precision, n_calibration=64)
            side.quantize(floating, path, quant, calibration_items(task, quant))
    return Artifact(path, runtime, precision)


def slower_by(net: nn.Module, task: Task, folder: Path, base: Artifact, share: float = 0.05) -> Artifact:
    """The file whose latency is nearest to `share` more than the base's."""
    tried = [export(net, task, folder, base.runtime, base.precision, extra) for extra in (1, 2, 3, 4)]
    measured_base, *measured = measure_files([base, *tried], {}, seconds=1.0)
    excess = [1 / speed_columns(result, measured_base)["speedup"] - 1 for result in measured]
    return tried[int(np.argmin(np.abs(np.array(excess) - share)))]


def copies(base: Artifact, slow: Artifact, n: int, seconds: float) -> tuple[list[Measured], list[Measured]]:
    """n processes of each of two files, in one session."""
    results = measure_files([base] * n + [slow] * n, {}, seconds=seconds)
    return results[:n], results[n:]


def verdicts(pairs) -> Counter:
    return Counter(speed_columns(result, base)["speed_verdict"] for base, result in pairs)


def latency_lines(pairs: list[tuple[Artifact, Artifact]], n: int, seconds: float, long_s: float):
    """Lines: the file, A/A called different, the truth, how often the slow file is called slower, widths, quiet blocks."""
    for base, slow in pairs:
        a, b = copies(base, slow, n, seconds)
        same = verdicts([*itertools.combinations(a, 2), *itertools.combinations(b, 2)])
        slower = verdicts(itertools.product(a, b))
        truth = speed_columns(*reversed(measure_files([base, slow], {}, seconds=long_s)))
        ends = [speed_columns(result, base_result) for base_result, result in itertools.product(a, b)]
        half = np.median([(e["speedup_hi"] - e["speedup_lo"]) / 2 for e in ends])
        medians = np.array([latency_columns(result)["latency_ms_p50"] for result in a])
        more = [100 / truth[key] - 100 for key in ("speedup", "speedup_hi", "speedup_lo")]
        yield [
            f"{base.runtime} {base.precision}", f"{1e3 * np.median(medians):.1f}", same.total(),
            percent((same["slower"] + same["faster"]) / same.total()), percent(same["same"] / same.total()),
            f"{more[0]:.1f} ({more[1]:.1f} to {more[2]:.1f})", percent(slower["slower"] / slower.total()),
            f"{100 * half:.2f}", f"{100 * medians.std() / medians.mean():.2f}",
            percent(1 - np.mean([latency_columns(result)["extra"]["disturbed"] for result in a + b])),
        ]  # fmt: skip


def repeat_lines(files: list[Artifact], seconds: float):
    """Lines: the medians of two sessions and their difference; the runtime's own benchmark where it ships one."""
    first, again = (
        [latency_columns(result)["latency_ms_p50"] for result in measure_files(files, {}, seconds=seconds)] for _ in range(2)
    )
    for file, ms, ms_again in zip(files, first, again):
        shipped = runtime_benchmark(file)
        difference = "not shipped" if shipped is None else f"{1e3 * shipped:.1f} ({100 * (shipped / ms - 1):+.1f} %)"
        drift = f"{100 * (ms_again / ms - 1):+.1f}"
        yield [f"{file.runtime} {file.precision}", f"{1e3 * ms:.1f}", f"{1e3 * ms_again:.1f}", drift, difference]


def runtime_benchmark(file: Artifact) -> float | None:
    """Median ms by `litert-benchmark`, the best of three runs, since it cannot tell other work; None for ONNX Runtime,
    whose wheel has no onnxruntime_perf_test."""
    if file.runtime != "litert":
        return None
    medians = []
    with tempfile.TemporaryDirectory() as folder, lock.measuring("litert-benchmark"):
        for number in range(3):
            result = Path(folder) / f"{number}.json"
            options = [f"--model={file.path}", "--num_runs=20000", "--num_threads=1", f"--result_json={result}"]
            subprocess.run([sys.executable, "-c", FINER, *options], capture_output=True, check=False)
            if result.exists():
                medians.append(json.loads(result.read_text())["latency"]["median_ms"] / 1000)
    return min(medians, default=None)


def score_lines(outputs: np.ndarray, other: np.ndarray, labels: np.ndarray, draws: int):
    """Lines: true difference, how often each word, from resampled items of a real float file and its int8 version."""
    random, n = np.random.default_rng(0), len(labels)
    a, b = outputs.argmax(1) == labels, other.argmax(1) == labels
    for loss in (0.0, 0.005, 0.015):
        said = Counter()
        for _ in range(draws):
            items = random.integers(0, n, n)
            swap = random.random(n) < 0.5  # which file an answer came from says nothing: no difference in truth
            one, two = np.where(swap, a[items], b[items]), np.where(swap, b[items], a[items])
            two = two & (random.random(n) >= loss / two.mean())
            said[verdict(*paired_difference(two, one)[1:])] += 1
        yield [n, f"{-100 * loss:.1f}", *(percent(said[word] / draws) for word in (*SCORE_WORDS, CANNOT_TELL))]


def cost_lines(base: list[Artifact], task: Task, seconds: float):
    """Lines: what measuring 10 files takes in all, and scoring 10,000 images alone."""
    splits = {"val": task.x_val.numpy(), "test": task.x_test.numpy()}
    ten = (base * 3)[:10]
    started = time.perf_counter()
    measure_files(ten, splits, seconds=seconds)
    yield [f"10 files, {seconds:g} s of timing each, validation and test scored", f"{time.perf_counter() - started:.1f}"]
    for file in base:
        program = record_of(file.runtime).side("load").load(file.path)
        started = time.perf_counter()
        program.predict(splits["test"])
        yield [f"scoring {len(task.x_test):,} images, {file.runtime} {file.precision}", f"{time.perf_counter() - started:.1f}"]


def main(n: int, seconds: float, long_s: float, draws: int) -> None:
    task = load_task("fashion_mnist")
    seed_all(0)
    net = cached(train, build_model("resnet8", task.input_shape, task.n_outputs), task, RECIPE)
    with tempfile.TemporaryDirectory() as name:
        files = [export(net, task, Path(name), runtime, precision, 0) for runtime, precision in FORMATS]
        pairs = [(file, slower_by(net, task, Path(name), file)) for file in files]
        print(f"{json.dumps(machine.describe())}\n\n{seconds:g} s a file, one thread; figures in % where nothing else is said.")
        table(f"latency: {n} processes of each file and of a slower one, in one session",
              ["file", "us", "A/A pairs", "called different", "called same", "true excess", "slower found", "half-width",
               "spread of processes' medians", "quiet blocks"], latency_lines(pairs, n, seconds, long_s))  # fmt: skip
        table("two sessions, us", ["file", "first", "again", "difference", "runtime's own benchmark"],
              repeat_lines(files, seconds))  # fmt: skip
        measured = measure_files(files[:2], {"test": task.x_test.numpy()}, seconds=0.1)
        table(f"accuracy, {draws} draws of the test items", ["n", "true difference", *SCORE_WORDS, CANNOT_TELL],
              score_lines(*(result.outputs["test"] for result in measured), task.y_test.numpy(), draws))  # fmt: skip
        table("cost", ["what", "s"], cost_lines(files, task, 2.0))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer processes, shorter sessions")
    quick = parser.parse_args().quick
    main(n=4 if quick else 8, seconds=0.5 if quick else 1.0, long_s=2.0 if quick else 5.0, draws=200 if quick else 1000)
