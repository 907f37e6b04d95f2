"""What damage does to the store and to the records of a run: all of it shall be healed or named, and nothing believed in silence.

    python benchmarks/damage.py                    # about a minute; --flips 20 --damages 6 in the tests

A store (a trained network, an exported file, kept measurements) and the folder of a run are made in a temporary folder. A file
of them, drawn at random, is damaged and then read as `edgebook run`, `report` and `pick` read it, and put back. Printed is how
often the content was the same in spite of it, was made again, or was refused, each with a line that names the file; and how
often something else was believed without a word.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgebook import rows
from edgebook.errors import BadInput
from edgebook.measure.archive import Archive, digests
from edgebook.measure.measured import Measured
from edgebook.models import build_model
from edgebook.report.document import read
from edgebook.report.samples import samples
from edgebook.run_folder import write_run
from edgebook.runner.record import Record, files_of, find_record, write_record
from edgebook.runtimes.base import Artifact
from edgebook.runtimes.export import export
from edgebook.tasks import load_task
from edgebook.training.loop import train
from edgebook.training.recipe import Recipe
from edgebook.training.store import cached
from edgebook.training.weights import weights_hash

EXECUTION, OTHER, KEY = "20_prune_sweep--digits-mlp-0a1b2c--s0", "10_baseline--digits-mlp-0a1b2c--s0", "key"
SAME, HEALED, NAMED, SILENT, TRACEBACK = OUTCOMES = ("same content", "made again", "named", "silent", "traceback")


@dataclass(frozen=True)
class Reader:
    """Files, and how they are read: what they hold (None: it has to be made again), and what is said about them."""

    name: str
    files: list[Path]
    read: Callable[[], tuple[Any, str]]


def readers(folder: Path) -> Iterator[Reader]:
    """Everything that is damaged, made whole in `folder`."""
    os.environ["EDGEBOOK_STORE"] = str(folder / "store")
    task = load_task("digits")
    net = build_model("mlp", task.input_shape, task.n_outputs)

    def network() -> tuple[Any, str]:
        return said(lambda: weights_hash(cached(train, net, task, Recipe(epochs=0, device="cpu"))))

    def exported() -> tuple[Any, str]:
        artifact, words = said(lambda: export(net, task, folder / "exported", runtime="packed"))
        return [artifact.path.read_bytes(), artifact.columns], words

    network(), exported()
    yield Reader("trained network", list((folder / "store").glob("*.pt")), network)
    yield Reader("exported file", sorted((folder / "store" / "files").glob("*/*")), exported)
    yield measurements(folder, folder / "exported.pack")
    yield from run_folder(folder / "run")


def measurements(folder: Path, file: Path) -> Reader:
    """Scores that an execution keeps beside its rows."""
    items = {"test": np.arange(60, dtype=np.float32).reshape(20, 3)}
    archive = Archive(folder / "measurements", digests(items), threads=1)
    artifact = Artifact(file, "packed", "fp32", {"macs": 100})
    archive.keep_scores(Measured(artifact, outputs={"test": items["test"] * 2}, items={"test": np.arange(20)}))

    def scores() -> tuple[Any, str]:
        result = Measured(artifact)
        there, words = said(lambda: archive.find_scores(result))
        return ([result.outputs["test"].tolist(), result.items["test"].tolist(), result.batch] if there else None), words

    return Reader("kept scores", list((folder / "measurements").iterdir()), scores)


def run_folder(folder: Path) -> Iterator[Reader]:
    """Everything that two executions leave, as `run` looks for it and as `report` and `pick` show it."""
    row = fill(folder, EXECUTION)
    fill(folder, OTHER)
    write_run(folder, "quick", [EXECUTION, OTHER])
    for name in (EXECUTION, OTHER):
        write_record(folder, name, Record(KEY, "ok", None, None, 1.5, files_of(folder, name)))

    def planned() -> tuple[Any, str]:
        record, reason = find_record(folder, EXECUTION, KEY)
        return (record and record.files), reason or ""

    def shown() -> tuple[Any, str]:
        document = read(folder)
        return [document.rows, document.executions], "\n".join(document.problems)

    def behind() -> tuple[Any, str]:
        return [array.tolist() for array in vars(samples(folder, row)).values()], ""

    left = sorted(files_of(folder, EXECUTION))
    yield Reader(
        "what an execution left, and its record", [folder / place for place in [*left, f"state/{EXECUTION}.json"]], planned
    )
    yield Reader("rows and run.json, as the page shows them", [folder / f"rows/{EXECUTION}.jsonl", folder / "run.json"], shown)
    yield Reader("samples behind a score", [folder / f"samples/{EXECUTION}.npz"], behind)


def fill(folder: Path, name: str) -> dict[str, Any]:
    """Write what an execution leaves; one of its rows."""
    of_all = {"execution": name, "notebook": name.partition("--")[0], "task": "digits", "model": "mlp", "case": "0a1b2c"}
    of_all |= {"role": "version", "metric": "accuracy", "val_score": 0.9, "runtime": "onnx", "samples": f"samples/{name}.npz"}
    built = []
    for n in range(4):
        figures = {"score": 0.9 + n / 100, "size_bytes": 1000 + n, "artifact": f"artifacts/{name}/{n}.onnx"}
        built.append(rows.build(of_all, {"row_id": f"{name}-{n}", "label": f"row {n}"}, figures))
    rows.write_rows(folder / "rows" / f"{name}.jsonl", built)
    arrays = {"items": np.arange(50), "predictions": np.arange(50) % 10, "item_scores": np.ones(50)}
    (folder / "samples").mkdir(exist_ok=True)
    np.savez(
        folder / "samples" / f"{name}.npz", targets=np.arange(50) % 10, **{f"{name}-0.{key}": a for key, a in arrays.items()}
    )
    for place in (f"pages/{name}.html", f"notebooks/{name}.ipynb", *(row["artifact"] for row in built)):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(f"{place}\n" * 20)
    return built[0]


def said(make: Callable[[], Any]) -> tuple[Any, str]:
    """What a function returns, and what it prints about it."""
    with redirect_stderr(io.StringIO()) as words:
        return make(), words.getvalue()


def flip(content: bytes, draw: random.Random) -> bytes:
    """One bit is another one."""
    place = draw.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << draw.randrange(8)]) + content[place + 1 :]


def damage(content: bytes, draw: random.Random) -> bytes | None:
    """Content that a crash, a full disk, a bad copy or an editor leaves; None: the file is gone."""
    start, end = sorted(draw.sample(range(len(content) + 1), 2))
    lines = content.splitlines(keepends=True)
    return draw.choice(
        [
            None,
            b"",
            content[:end],
            content + content[start:end],
            content[:start] + bytes(end - start) + content[end:],
            content[:start] + content[end:],
            b"".join(draw.sample(lines, len(lines))) + lines[0],
            *(content.replace(old, new) for old, new in EDITS if old in content),
        ]
    )


EDITS = [
    *((b"0.9", new) for new in (b"0.8", b"NaN", b"null", b'"many"', b"1e999")),
    *((b'"schema": %d' % rows.SCHEMA, new) for new in (b'"schema": 99', b'"more": 3')),
    (b'"accuracy"', b"[]"),
    (b"20_prune", b"21_prune"),
]


def outcome(reader: Reader, path: Path, changed: bytes | None, whole: Any) -> str:
    """What comes of reading a damaged file, and where something else is believed, that and the file."""
    if changed is None:
        path.unlink()
    else:
        path.write_bytes(changed)
    try:
        content, words = reader.read()
    except BadInput as error:
        return NAMED if str(error) else SILENT
    except Exception as error:  # whatever damage can raise
        return f"{TRACEBACK}: {type(error).__name__}: {error}"
    is_named = path.name in words or path.parent.name in words
    if content == whole:
        return HEALED if is_named else SAME
    return NAMED if is_named or (content is None and changed is None) else SILENT


def series(
    folder: Path, n: int, change: Callable[[bytes, random.Random], bytes | None], draw: random.Random
) -> list[tuple[str, Path, str]]:
    """(reader, file, outcome) of n damages, the readers in turn."""
    everything = list(readers(folder))
    wholes = [reader.read()[0] for reader in everything]
    outcomes = []
    for number in range(n):
        reader, whole = everything[number % len(everything)], wholes[number % len(everything)]
        path = draw.choice(reader.files)
        before = path.read_bytes()
        changed = change(before, draw)
        if changed != before:
            outcomes.append((reader.name, path, outcome(reader, path, changed, whole)))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(before)
    return outcomes


def main(flips: int, damages: int, seed: int) -> None:
    for title, n, change in (("flipped bits", flips, flip), ("other damage", damages, damage)):
        with tempfile.TemporaryDirectory() as folder:
            outcomes = series(Path(folder), n, change, random.Random(seed))
        print(f"\n## {title}: {len(outcomes)}\n\n| what | {' | '.join(OUTCOMES)} |\n|{'---|' * (1 + len(OUTCOMES))}")
        for name in dict.fromkeys(name for name, _, _ in outcomes):
            counts = Counter(word.partition(":")[0] for other, _, word in outcomes if other == name)
            print(f"| {name} | {' | '.join(str(counts[word]) for word in OUTCOMES)} |")
        for _, path, word in outcomes:
            if word.partition(":")[0] in (SILENT, TRACEBACK):
                print(f"{path.name}: {word}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flips", type=int, default=200)
    parser.add_argument("--damages", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    main(given.flips, given.damages, given.seed)
