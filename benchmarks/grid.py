"""Do runs survive everything, use every core, and cost little beside the work? One table: the goal, and what was measured.

    python benchmarks/grid.py                                  # about two hours on 2 cores that do nothing else
    python benchmarks/grid.py --only kills --kills 20          # single lines: kills preset starts workers cluster scheduling loop
    python benchmarks/grid.py --only preset --preset smoke     # the preset that is run, repeated, changed and looped over

Everything is in a temporary folder with a store of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml
from empty_notebooks import empty_preset, run_empty
from interval_coverage import percent, table
from kills import processes
from train_speed import share_of_bare_loop

from edgebook import paths, rows
from edgebook.runner.executors import dask, this_machine
from edgebook.runner.executors.remote import Delivery, Job
from edgebook.runner.record import Record

GRID = [argument for stem in ("10_baseline", "20_prune_sweep", "30_quantize_sweep") for argument in ("--only", stem)]
TIMED = ("latency", "speed", "rss_bytes", "session", "machine", "n_repeats", "samples", "started_at", "duration_s", "extra")
IMPORTS = ("import ", "from ")  # what a cell begins with that is no work
Line = tuple[str, str]


@dataclass(frozen=True)
class Options:
    """See the command line."""

    preset: str
    kills: int
    starts: int
    trivial: int
    survivors: int


def edgebook(home: Path, *arguments: str) -> subprocess.Popen[str]:
    """`edgebook` in a folder with a store, reports and a TMPDIR of its own."""
    places = {name: str(home / name.lower()) for name in ("STORE", "REPORTS", "LOCK")}
    (home / "tmp").mkdir(parents=True, exist_ok=True)
    environment = os.environ | {f"EDGEBOOK_{name}": place for name, place in places.items()} | {"TMPDIR": str(home / "tmp")}
    command = [sys.executable, "-c", "from edgebook.cli import main; main()", *arguments]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, env=environment, text=True, cwd=paths.CHECKOUT, **streams)


def seconds_of(home: Path, *arguments: str) -> float:
    """Wall time of a command that has to go well."""
    started = time.perf_counter()
    process = edgebook(home, *arguments)
    out, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)}: exit code {process.returncode}\n{out}")
    return time.perf_counter() - started


def untimed(folder: Path) -> list[dict]:
    """The rows of a run without what depends on time."""
    return [{name: row[name] for name in row if not name.startswith(TIMED)} for row in rows.read_rows(folder)]


def kills(options: Options, home: Path) -> Iterator[Line]:
    """Kill -9 random processes of a run until it gets through, again and again."""
    whole = seconds_of(home / "whole", "run", "smoke", *GRID)
    expected, chance = untimed(home / "whole" / "reports" / "smoke"), random.Random(0)
    n_kills = n_orphans = n_left = n_tables = n_different = 0
    while n_kills < options.kills:
        place = home / f"killed{n_tables}"
        for _ in range(min(5, options.kills - n_kills)):
            process = edgebook(place, "run", "smoke", *GRID)
            time.sleep(chance.uniform(0.1, 0.7) * whole)
            victims = [process, *processes(place)] if process.poll() is None else []
            if victims:  # the run itself every other time: others end sooner than they would
                n_kills += 1
                with suppress(psutil.Error):
                    (process if chance.random() < 0.5 else chance.choice(victims)).kill()
            process.communicate()
            time.sleep(2)
            n_orphans += len(processes(place))
        process = edgebook(place, "run", "smoke", *GRID)
        process.communicate()
        n_left += len([file for file in place.rglob("*") if file.suffix in (".draft", ".lock") or file.name.startswith(".")])
        n_left += len(list((place / "tmp").iterdir()))
        n_tables, n_different = n_tables + 1, n_different + (untimed(place / "reports" / "smoke") != expected)
    yield f"{options.kills} random kill -9, each resumed: different tables, but for timings", f"{n_different} of {n_tables}"
    yield "orphans, left sockets and temporary files: 0", f"{n_orphans}, {n_left}"


def preset(options: Options, home: Path) -> Iterator[Line]:
    """A preset as it is, unchanged again, with one point changed, and as a plain papermill loop over the same executions."""
    folder, cores = home / "reports" / options.preset, this_machine.available_cores()
    cold = seconds_of(home, "run", options.preset)
    names = json.loads((folder / "run.json").read_text())["executions"]
    work = sum(work_seconds(folder / "notebooks" / f"{name}.ipynb") for name in names)
    yield f"machinery at most 10 % of {options.preset}", f"{percent(1 - work / cores / cold)} of {cold:.0f} s on {cores} cores"
    yield "unchanged again at most 4 s", f"{seconds_of(home, 'run', options.preset):.1f} s"
    name = next(name for name in names if name.startswith("20_prune_sweep"))
    ratios = yaml.safe_load((folder / "params" / f"{name}.yaml").read_text())["pruning_ratios"]
    changed = [*ratios[:-1], round(ratios[-1] + 0.05, 2)]
    seconds = seconds_of(home, "run", options.preset, "--set", f"20_prune_sweep.pruning_ratios={changed}")
    new = [row for row in rows.read_rows(folder) if row["asked"].get("pruning_ratio") == changed[-1] and row["duration_s"]]
    own = sum({row["point_id"]: row["duration_s"] for row in new}.values())
    yield "one changed point: what it takes to make, and at most 10 s", f"{seconds:.1f} s, {own:.1f} s of them to make it"
    loop = papermill_loop(home / "plain", folder, names)
    yield "plain papermill loop at least 1.8 times our time", f"{loop:.0f} s, {loop / cold:.2f} times"


def work_seconds(notebook: Path) -> float:
    """What the cells of an executed notebook took that do more than import."""
    cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
    working = [cell for cell in cells if not "".join(cell["source"]).startswith(IMPORTS) or "start(" in "".join(cell["source"])]
    return sum(cell["metadata"]["papermill"]["duration"] or 0 for cell in working)


def papermill_loop(home: Path, folder: Path, names: list[str]) -> float:
    """Seconds of papermill's own command for each execution in turn, with a new store."""
    home.mkdir()
    environment = os.environ | {f"EDGEBOOK_{name}": str(home / name.lower()) for name in ("STORE", "REPORTS")}
    started = time.perf_counter()
    for name in names:
        given = ["-f", str(folder / "params" / f"{name}.yaml"), "-k", "python3"]
        command = [sys.executable, "-m", "papermill", f"{name.split('--')[0]}.ipynb", str(home / "out.ipynb"), *given]
        subprocess.run(command, env=environment, cwd=paths.CHECKOUT / "notebooks", check=True, capture_output=True)
    return time.perf_counter() - started


def starts(options: Options, home: Path) -> Iterator[Line]:
    """Many empty notebooks, each with a kernel of its own, in 8 processes."""
    this_machine.available_cores = lambda: 8
    path, started = empty_preset(home, options.starts), time.perf_counter()
    failures = run_empty(path, home, jobs=8)
    logs = [log.read_text() for log in (home / "reports" / "empty" / "logs").iterdir()]
    again, seconds = sum("start 1 of" in log for log in logs), time.perf_counter() - started
    yield f"{options.starts} empty notebooks, 8 processes: failures 0", f"{failures}, started twice {again}, {seconds:.0f} s"


def workers(options: Options, home: Path) -> Iterator[Line]:
    """The same sweeps in one process, then in two; every execution computes on one thread."""
    arguments = ["run", "smoke", "--only", "20_prune_sweep", "--set", "seeds=[0, 1, 2, 3, 4, 5]"]
    many = ["--set", "shared.baseline_recipe.epochs=60", "--set", "20_prune_sweep.finetune_recipe.epochs=60"]
    one, two = (seconds_of(home / number, *arguments, *many, "--jobs", number) for number in ("1", "2"))
    yield "two local workers at least 1.6 times one", f"{one / two:.2f} times ({one:.0f} s, {two:.0f} s)"


@contextmanager
def local_cluster(home: Path, **options: object) -> Iterator[str]:
    """The address of a scheduler with two workers in processes of their own; their stores are in the folder."""
    from distributed import LocalCluster

    environment = {"EDGEBOOK_STORE": str(home / "worker-store"), "EDGEBOOK_REPORTS": str(home / "nowhere")}
    given = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50, "env": environment}
    with LocalCluster(**given | options) as cluster:
        yield cluster.scheduler_address


def cluster(options: Options, home: Path) -> Iterator[Line]:
    """The tables of this machine and of two workers; then many executions, of which one loses its worker."""
    latency = {"latency": 1}
    with local_cluster(home, resources=latency) as address:
        seconds_of(home / "here", "run", "smoke", *GRID)
        seconds_of(home / "there", "run", "smoke", *GRID, "--scheduler", address)
        tables = [untimed(home / place / "reports" / "smoke") for place in ("here", "there")]
    yield "Dask LocalCluster: the tables of the local pool", "the same" if tables[0] == tables[1] else "different"
    path = empty_preset(home, options.survivors)
    preload = [str(Path(__file__).with_name("empty_notebooks.py"))]
    with local_cluster(home, preload=preload) as address, killed_after(5):
        failures = run_empty(path, home, scheduler=address)
    n_results = len(list((home / "reports" / "empty" / "state").iterdir()))
    yield f"a worker killed in {options.survivors} executions: all results", f"{n_results}, {failures} failed"


@contextmanager
def killed_after(seconds: float) -> Iterator[None]:
    """Kill -9 one of this process's workers a while after the start of the block."""
    killer = threading.Timer(seconds, kill_a_worker)
    killer.start()
    yield
    killer.join()


def kill_a_worker() -> None:
    """Kill -9 a worker process below this one."""
    mine = [process for process in psutil.Process().children(recursive=True) if "spawn_main" in " ".join(process.cmdline())]
    mine[0].kill()


def instant(job: Job) -> Delivery:
    """In place of `execute_job`: nothing is executed."""
    return Delivery("", "", Record(job.key, "ok"))


def scheduling(options: Options, home: Path) -> Iterator[Line]:
    """Executions that take no time: what is left is planning, keys, the way to a worker and back, records, progress."""
    path = empty_preset(home, options.trivial)
    preload = [str(Path(__file__).with_name("empty_notebooks.py"))]
    dask.execute_job = instant
    with local_cluster(home, preload=preload) as address:
        started = time.perf_counter()
        run_empty(path, home, scheduler=address)
        each = (time.perf_counter() - started) / options.trivial
    yield f"{options.trivial} trivial executions on Dask: at most 50 ms each", f"{1000 * each:.1f} ms"


def loop(options: Options, home: Path) -> Iterator[Line]:
    """Training beside the barest loop."""
    for name in ("resnet8", "ds_cnn"):
        yield f"{name}: training at least 95 % of the barest loop's images per second", percent(share_of_bare_loop(name))


LINES: dict[str, Callable[[Options, Path], Iterator[Line]]] = {
    "kills": kills,
    "preset": preset,
    "starts": starts,
    "workers": workers,
    "cluster": cluster,
    "scheduling": scheduling,
    "loop": loop,
}


def lines(names: list[str], options: Options) -> Iterator[Line]:
    for name in names:
        with tempfile.TemporaryDirectory(prefix="e-") as home:
            yield from LINES[name](options, Path(home))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=LINES, action="append", help="only this line (repeat for more)")
    parser.add_argument("--preset", default="quick", help="of the line preset")
    numbers = {"kills": 100, "starts": 400, "trivial": 1000, "survivors": 50}
    for word, number in numbers.items():
        parser.add_argument(f"--{word}", type=int, default=number)
    given = parser.parse_args()
    asked = Options(given.preset, *(getattr(given, word) for word in numbers))
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    table(f"runs, load {load} at the start", ["goal", "measured"], lines(given.only or list(LINES), asked))
