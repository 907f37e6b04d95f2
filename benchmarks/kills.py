"""What is left of a run that is killed, and does the same command go on? Real notebooks, real workers, kill -9.

    python benchmarks/kills.py --kills 20

A victim is killed at a random moment: the process group, the main process, a pool worker, a kernel, a measuring worker. Five
seconds after the group or the main process no other process of the run may live; the others must leave a run that ends. The
same command then ends with the scores of a run that nobody disturbed, and leaves nothing in the folder for temporary files.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil
import yaml

COMMAND = [sys.executable, "-c", "from edgebook.cli import main; main()", "run"]
ORPHAN_S, SETTLE_S = 5.0, 3.0
VICTIMS = {  # name -> what is in the command line of the process
    "group": "edgebook.cli",
    "main": "edgebook.cli",
    "worker": "multiprocessing.spawn",
    "kernel": "ipykernel",
    "bench": "edgebook.measure.bench",
}
PRESET = {
    "shared": {"measure_s": 1.0, "baseline_recipe": {"epochs": 4, "batch_size": 100, "lr": 0.01}},
    "points": [{"task": "digits", "model": "mlp"}],
    "notebooks": {"10_baseline": {"runtimes": ["onnx", "torch"]}},
}


def processes(home: Path) -> list[psutil.Process]:
    """The living processes whose TMPDIR is in this folder."""
    living = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("TMPDIR") == str(home / "tmp") and process.status() != psutil.STATUS_ZOMBIE:
                living.append(process)
    return living


def start(home: Path) -> subprocess.Popen:
    """The run, in a group of its own."""
    places = {"EDGEBOOK_REPORTS": "reports", "EDGEBOOK_STORE": "store", "EDGEBOOK_LOCK": "lock", "TMPDIR": "tmp"}
    environment = os.environ | {name: str(home / place) for name, place in places.items()}
    command = [*COMMAND, str(home / "preset.yaml"), "--name", "killed", "--plain"]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def kill(home: Path, run: subprocess.Popen, victim: str, rng: random.Random) -> bool:
    """Kill a victim some time after it has appeared; False when the run ended before."""
    while run.poll() is None:
        found = [process for process in processes(home) if VICTIMS[victim] in _command_line(process)]
        if found:
            time.sleep(rng.uniform(0, 1 if victim == "bench" else 4))
            with suppress(psutil.Error, ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL) if victim == "group" else found[0].kill()
                return run.poll() is None or victim in ("group", "main")
        time.sleep(0.05)
    return False


def _command_line(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def scores(home: Path) -> list[tuple]:
    """What does not depend on time: the score of every file, or why there is none."""
    file = home / "reports" / "killed" / "rows.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return sorted((row["runtime"] or "", row["label"], row["score"], row["error"] or row["sha256"]) for row in rows)


def litter(home: Path) -> list[str]:
    """Temporary files and folders, drafts and empty locks that are left."""
    left = [path for path in (home / "tmp").iterdir() if path.name.startswith(("edgebook-", "tmp"))]
    for place in ("reports", "store"):
        left += [path for path in (home / place).rglob("*") if path.name.endswith((".draft", ".lock")) or ".draft-" in path.name]
    return [str(path.relative_to(home)) for path in left]


def one(victim: str, rng: random.Random, expected: list[tuple] | None) -> tuple[str, list[tuple]]:
    """(ok, or what went wrong; the scores at the end) of one kill; with the victim "nobody" of none."""
    with tempfile.TemporaryDirectory(prefix="ebk", dir="/tmp") as folder:
        home = Path(folder)
        (home / "tmp").mkdir()
        (home / "preset.yaml").write_text(yaml.safe_dump(PRESET))
        run = start(home)
        if victim == "nobody":
            run.wait()
            return "ok" if run.returncode == 0 else f"the run failed: {scores(home)}", scores(home)
        if not kill(home, run, victim, rng):
            return "not killed", []
        end = time.monotonic() + ORPHAN_S
        while victim in ("group", "main") and processes(home) and time.monotonic() < end:
            time.sleep(0.2)
        orphans = [_command_line(process)[:60] for process in processes(home)] if victim in ("group", "main") else []
        run.wait()
        time.sleep(SETTLE_S)
        again = start(home)
        again.wait()
        problems = [f"orphans {orphans}"] if orphans else []
        problems += [f"litter {left}"] if (left := litter(home)) else []
        problems += [f"exit code {again.returncode}"] if again.returncode else []
        problems += [f"other scores: {scores(home)}"] if scores(home) != expected else []
        return "; ".join(problems) or "ok", scores(home)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    undisturbed, expected = one("nobody", random.Random(0), None)
    print(f"undisturbed: {undisturbed}", flush=True)
    results = []
    for number in range(given.kills):
        victim = list(VICTIMS)[number % len(VICTIMS)]
        ended, _ = one(victim, random.Random(f"{given.seed} {number}"), expected)
        results.append(ended)
        print(f"{victim}: {ended}", flush=True)
    print(f"{len(results)} kills: {dict(Counter(results))}")
    sys.exit(any(ended not in ("ok", "not killed") for ended in results))


if __name__ == "__main__":
    main()
