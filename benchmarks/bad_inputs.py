"""What does the command line do with wrong input? Generated from a seed: presets, names, data, networks, rows, files.

    python benchmarks/bad_inputs.py --count 1000

Every input is given to the commands as a user would give it, in this process (files that are measured run in workers of their
own). Input that is wrong must be refused: exit code 2, one line, nothing left behind. Damaged rows and records must be passed
over: the rest is shown. Printed is how many inputs ended in another way, by family.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import signal
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from typer.testing import CliRunner

from edgebook import rows
from edgebook.cli import app
from edgebook.errors import BadInput
from edgebook.experiment.preflight import check
from edgebook.naming import short_id
from edgebook.runner.plan import plan
from edgebook.runner.preset import read_preset

LIMIT_S = 120  # after which an input counts as one that hangs
LONGEST = 1000  # characters of a message
OK, FAILED, REFUSED = 0, 1, 2  # exit codes


@dataclass(frozen=True)
class Case:
    """An input. call: gives the exit code, raises BadInput or whatever else. allowed: exit codes that are right."""

    what: str
    call: Callable[[], int]
    allowed: tuple[int, ...] = (REFUSED,)


def command(*arguments: object) -> Callable[[], int]:
    """A call of the command line."""

    def call() -> int:
        result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
        return result.exit_code

    return call


# what is wrong for a number, a list, a text, a mapping of a preset
ODD = (None, True, -1, 0.5, float("nan"), float("inf"), 10**400, "x", "1:30", "{}", [], [[]], {}, {"a": 1}, ["x", None], "\ud800")
SLOTS: dict[str, Callable[[object], bool]] = {  # place in a preset -> whether a value is wrong there
    "shared": lambda v: v != {},
    "shared.seed": lambda v: True,
    "shared.threads": lambda v: True,
    "shared.measure_s": lambda v: v != 0.5,
    "shared.baseline_recipe": lambda v: v != {},
    "shared.baseline_recipe.epochs": lambda v: True,
    "shared.baseline_recipe.lr": lambda v: v != 0.5,
    "shared.unknown": lambda v: True,
    "unknown": lambda v: True,
    "points": lambda v: True,
    "points.0": lambda v: True,
    "points.0.task": lambda v: True,
    "points.0.model": lambda v: True,
    "points.0.only": lambda v: True,
    "points.0.skip": lambda v: v != [],
    "points.0.params": lambda v: v != {},
    "points.0.params.model_shape": lambda v: v != {} and not isinstance(v, dict),
    "notebooks": lambda v: True,
    "notebooks.10_baseline": lambda v: v not in (None, {}),
    "notebooks.10_baseline.runtimes": lambda v: True,
    "notebooks.10_baseline.batch_sizes": lambda v: v != [],
    "notebooks.99_none": lambda v: True,
    "once": lambda v: v != [],
    "seeds": lambda v: v is not None,
    "grid": lambda v: v != {},
    "grid.10_baseline": lambda v: v != {},
    "grid.10_baseline.threads": lambda v: True,
    "limits": lambda v: v != {},
    "limits.seconds": lambda v: v not in (None, 0.5),
}


def preset(rng: random.Random, folder: Path) -> Case:
    """A preset with one wrong value."""
    place = rng.choice(list(SLOTS))
    value = rng.choice([value for value in ODD if SLOTS[place](value)])
    content = {"shared": {"threads": 1}, "points": [{"task": "digits", "model": "mlp"}], "notebooks": {"10_baseline": {}}}
    *way, last = place.split(".")
    inner: dict | list = content
    for key in way:
        inner = inner[int(key)] if isinstance(inner, list) else inner.setdefault(key, {})
    if isinstance(inner, list):
        inner[int(last)] = value
    else:
        inner[last] = value
    path = folder / "preset.yaml"
    path.write_bytes(yaml.safe_dump(content, allow_unicode=False).encode())
    return Case(f"{place} = {value!r:.40}", command("run", path, "--name", "x", "--dry-run"))


TEXTS = (
    b"a: *a",
    b"a: &a [*a]",
    b"a: 1\na: 2",
    b"\xff\xfe",
    b"a: [",
    b"\t- x",
    b"- 1\n- 2",
    b"5",
    b"",
    b"? [a]\n: 1",
    b"1: 2",
    b"null: 1",
    b"a: !!python/object/apply:os.getcwd []",
    b"a: !x 1",
    b"%YAML 9\n---\na: 1",
    b"a: 1\n---\nb: 2",
    b"[" * 2000,
    b"{" * 2000,
    b"a: '" + b"x" * 200_000,
    b"a: 0x" + b"f" * 100,
    b"\0",
    b"a: \x07",
)


def yaml_text(rng: random.Random, folder: Path) -> Case:
    """A file that is no YAML, no mapping, or a bomb."""
    path = folder / "preset.yaml"
    text = rng.choice([*TEXTS, None])
    if text is None:
        depth, width = rng.randint(5, 30), rng.randint(9, 20)
        lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, depth))]
        text = "\n".join(lines).encode()
    path.write_bytes(text)
    return Case(f"{text[:30]!r}", command("run", path, "--dry-run"))


def override(rng: random.Random, folder: Path) -> Case:
    """A text for --set that sets nothing."""
    left = rng.choice(
        ["", "x", "shared", "shared.x", "10_baseline.", ".threads", "10_baseline.a.b.c", "10_baseline.task", "90_x.y"]
    )
    right = rng.choice(["", "=", "=1", "=[", "={a: 1}", "=*a", "=!!x 1", "=null"])
    return Case(f"--set {left}{right}", command("run", "smoke", "--dry-run", "--set", left + right))


NAMES = ("", ".", "..", "a/b", "/tmp/x", "~", " ", "a b", "-", "\0", "a\nb", "x" * 101, "x" * 5000, "{x}", "\ud800", "a\\b", "*")


def name(rng: random.Random, folder: Path) -> Case:
    """A name that is no folder of its own."""
    text, verb = rng.choice(NAMES), rng.choice(["run", "report", "pick", "status"])
    arguments = ["run", "smoke", "--dry-run", "--name", text] if verb == "run" else [verb, "--", text]
    return Case(f"{verb} {text!r:.20}", command(*arguments))


OPTIONS = """
pick --runtime tpu
pick --task none
pick --max-loss nan
pick --max-loss -1
pick --max-size-kb inf
pick --max-latency-ms x
clean --older-than nan
clean --older-than -1
clean --max-size-gb inf
params 99_none
params ..
data none
data none.npz
data .
data digits --set label=x
data digits --write x.txt
measure none.onnx
measure .
measure x.onnx --threads 0
measure x.onnx --measure-s nan
measure x.onnx --limit-s 1e999
measure x.onnx --task none
measure x.onnx --runtime tpu
measure x.onnx --out x.onnx
run smoke --jobs 0
run smoke --only 99_none
run none
run none.yaml
none
"""


def option(rng: random.Random, folder: Path) -> Case:
    """An option with a value that it does not take; there is a run of the default name, and a file x.onnx."""
    (folder / "x.onnx").write_bytes(b"x")
    _run_folder(folder, "quick")
    text = rng.choice(OPTIONS.strip().splitlines())
    return Case(text, command(*text.split()))


def npz(rng: random.Random, folder: Path) -> Case:
    """Arrays with something wrong in them, or a damaged file."""
    random_ = np.random.default_rng(rng.getrandbits(32))
    arrays = {"x_train": random_.random((30, 4)), "y_train": np.arange(30) % 3}
    arrays |= {"x_test": random_.random((9, 4)), "y_test": np.arange(9) % 3}
    wrong = (
        None, np.nan, np.array(["a"]), np.zeros(0), np.zeros((30, 4), complex), np.zeros((30, 5, 5, 5, 5)), np.array([None] * 30),
        np.full((30, 4), np.inf), np.full((30, 4), 1e300), np.arange(30) + 0.5j, np.zeros((30, 0)), np.zeros(30, "datetime64[s]"),
        np.full(30, -(2**62)), np.array([b"x"] * 30), np.zeros((30, 3, 2, 2)), 10**10 * np.ones(31, int),
    )  # fmt: skip
    key, value = rng.choice([*arrays, "class_names", "kind", "groups", "x_val", "x", "oops"]), wrong[rng.randrange(len(wrong))]
    if value is None:
        arrays.pop(key, None)
        arrays["y_extra"] = np.zeros(3)
    else:
        arrays[key] = value
    path = folder / "data.npz"
    np.savez(path, **arrays)
    damage = rng.random()
    if damage < 0.3:
        path.write_bytes(path.read_bytes()[: rng.randrange(200)])
    return Case(f"{key} = {value!r:.30}{' cut' if damage < 0.3 else ''}", command("data", path))


MODULE = """import torch
class build(torch.nn.Module):
 def __init__(s, i, n):
  super().__init__()
  s.p = torch.nn.Parameter(torch.ones(n))
"""
CODE = (
    "raise ValueError('no')",
    "import absent_module",
    "def build(",
    "import sys; sys.exit(3)",
    "raise KeyboardInterrupt",
    "x = 1 / 0",
    "build = 5",
    "build = None",
    "def build(): pass",
    "def build(*a, **k): raise SystemExit",
    "def build(s, n): return 5",
    "from torch import nn\ndef build(s, n): return nn.Linear(3, n)",
    "from torch import nn\ndef build(s, n): return nn.Flatten()",
    "from torch import nn\ndef build(s, n): return nn.Sequential(nn.Flatten(), nn.Linear(64, n + 1))",
    f"{MODULE} def forward(s, x): return {{'a': x}}",
    f"{MODULE} def forward(s, x): return s.p * float('nan') + x.flatten(1)[:, :1]",
    "def build(s, n): return build(s, n)",
    "class E(BaseException): pass\nraise E('odd')",
    "\0",
    "raise RuntimeError('two\\nlines')",
)


def network(rng: random.Random, folder: Path) -> Case:
    """A network of the user's own that cannot be built, called or trained."""
    path, code = folder / "net.py", rng.choice(CODE)
    path.write_text(code)
    target = rng.choice([f"{path}:build"] * 5 + [f"{path}:absent", f"{path}", f"{folder}/none.py:build", "absent_package:build"])
    content = {"points": [{"task": "digits", "model": target}], "notebooks": {"10_baseline": {}}}
    (folder / "preset.yaml").write_text(yaml.safe_dump(content))

    def call() -> int:
        check(plan(read_preset(folder / "preset.yaml"), "x"))
        return OK

    return Case(f"{target.rpartition('/')[2]}: {code!r:.40}", call)


def _row(number: int) -> dict:
    identity = {"run": "quick", "notebook": "10_baseline", "execution": "10_baseline--x", "row_id": short_id(number)}
    about = {"label": f"row {number}", "task": "digits", "model": "mlp", "family": "baseline", "role": "baseline"}
    return rows.build(identity, about, {"runtime": "onnx", "seed": 0})


def _run_folder(folder: Path, run: str) -> Path:
    path = folder / "reports" / run
    rows.write_rows(path / "rows" / "10_baseline--x.jsonl", [_row(number) for number in range(3)])
    (path / "state").mkdir(exist_ok=True)
    (path / "run.json").write_text('{"executions": ["10_baseline--x"]}')
    return path


JSON = ("", "{", "null", "[]", "5", '"x"', "NaN", '{"schema": 99}', "[" * 5000, '{"a": 1e999}', "\0")
JSON += ('{"executions": 5}', '{"executions": [null]}')


def run_record(rng: random.Random, folder: Path) -> Case:
    """A damaged line, record or list of executions: what is whole is shown."""
    path = _run_folder(folder, "quick")
    file = rng.choice(["rows/10_baseline--x.jsonl", "run.json", "progress.json", "state/10_baseline--x.json"])
    text = rng.choice(JSON)
    if rng.random() < 0.5:
        whole = json.dumps({**_row(7), rng.choice([*rows.COLUMNS]): rng.choice([None, "x", -1, [], {}, True, 1e300, "\u2028"])})
        text = rng.choice([whole, whole[: rng.randrange(len(whole))]])
    before = (path / file).read_text() if file.startswith("rows") else ""
    (path / file).write_text(before + text)
    verb = rng.choice(["report", "status", "pick"])
    return Case(f"{verb} with {file}: {text[:30]!r}", command(verb, "quick"), (OK,))


def description(rng: random.Random, folder: Path) -> Case:
    """A description of data with a wrong field."""
    np.savez(folder / "data.npz", x=np.random.default_rng(0).random((30, 4)), y=np.arange(30) % 3)
    fields = "kind metric label test_share val_share broken augment image audio classes group oops path"
    field = rng.choice(fields.split())
    value = rng.choice([5, -1, "x", [1], {"a": 1}, float("nan"), True])
    (folder / "data.yaml").write_text(yaml.safe_dump({"path": "data.npz", field: value}))
    return Case(f"{field}: {value!r}", command("data", folder / "data.yaml"))


def measured(rng: random.Random, folder: Path) -> Case:
    """Garbage as files of every runtime, beside sidecars of garbage: each is a failed row, or all are refused."""
    for extension in ("onnx", "tflite", "pte", "pack"):
        content = rng.choice([b"", rng.randbytes(300), b"TFL3" * 50, b"EBPK2" + bytes(90), b"\x08\x07" + rng.randbytes(50)])
        (folder / f"x.{extension}").write_bytes(content)
    (folder / "x.json").write_text(rng.choice(JSON))
    files = [folder / f"x.{extension}" for extension in ("onnx", "tflite", "pte", "pack")]
    options = ("--measure-s", "0.05", "--limit-s", "20", "--out", folder / "out")
    return Case("garbage files", command("measure", *files, *options), (FAILED, REFUSED))


FAMILIES = (preset, yaml_text, override, name, option, npz, network, run_record, description)
SLOW = (measured,)  # once in fifty: each starts a process for every file


def outcome(case: Case, folder: Path) -> str:
    """`ok`, or in which way the input ended instead."""
    before = sorted((folder / "reports").rglob("*"))
    noise = io.StringIO()
    try:
        with contextlib.redirect_stderr(noise), contextlib.redirect_stdout(noise), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code, message = case.call(), ""
    except BadInput as error:
        code, message = REFUSED, str(error)
    except TimeoutError:
        return "hang"
    except BaseException as error:  # what a user would see as a traceback
        return f"traceback: {type(error).__name__}"
    if code not in case.allowed:
        return "wrongly accepted" if code == OK else "wrong exit"
    if "\n" in message or len(message) > LONGEST:
        return "not one line"
    if code == REFUSED and sorted((folder / "reports").rglob("*")) != before:
        return "left something"
    return "ok"


def run(count: int, seed: int) -> list[tuple[str, str, str]]:
    """(family, input, outcome) of so many inputs."""
    signal.signal(signal.SIGALRM, _too_long)
    results, home = [], Path.cwd()
    for number in range(count):
        rng = random.Random(f"{seed} {number}")
        family = rng.choice(SLOW) if number % 50 == 49 else FAMILIES[number % len(FAMILIES)]
        with tempfile.TemporaryDirectory(prefix="edgebook-bad-") as temporary, _placed(Path(temporary)):
            case = family(rng, Path(temporary))
            signal.alarm(LIMIT_S)
            try:
                results.append((family.__name__, case.what, outcome(case, Path(temporary))))
            finally:
                signal.alarm(0)
                os.chdir(home)
    return results


@contextlib.contextmanager
def _placed(folder: Path):
    """Stand in the folder, with reports and store there; the environment is restored."""
    saved = dict(os.environ)
    os.environ |= {"EDGEBOOK_REPORTS": str(folder / "reports"), "EDGEBOOK_STORE": str(folder / "store")}
    os.chdir(folder)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)


def _too_long(*_: object) -> None:
    raise TimeoutError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    results = run(given.count, given.seed)
    for family, what, ended in results:
        if ended != "ok":
            print(f"{family}: {what}: {ended}")
    print(f"{len(results)} inputs: {dict(Counter(ended.partition(':')[0] for _, _, ended in results))}")
    sys.exit(any(ended != "ok" for _, _, ended in results))


if __name__ == "__main__":
    main()
