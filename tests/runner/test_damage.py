"""What is damaged is made again or named, never believed in silence: benchmarks/damage.py at a tenth of its size."""

from __future__ import annotations

import random
import runpy

import pytest
from example_rows import baselines
from repository import ROOT
from typer.testing import CliRunner

from edgebook.cli import app
from edgebook.files import sha256, write_text
from edgebook.rows import write_rows

BENCHMARK = runpy.run_path(str(ROOT / "benchmarks" / "damage.py"))


@pytest.mark.parametrize(("change", "n"), [("flip", 20), ("damage", 18)])
def test_no_damage_of_store_rows_or_records_is_believed_in_silence(change, n, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEBOOK_STORE", str(tmp_path))  # set back afterwards
    outcomes = BENCHMARK["series"](tmp_path, n, BENCHMARK[change], random.Random(1))
    wrong = [(path.name, word) for _, path, word in outcomes if word.startswith((BENCHMARK["SILENT"], BENCHMARK["TRACEBACK"]))]
    assert wrong == []
    words = [word for _, _, word in outcomes]
    assert words.count(BENCHMARK["HEALED"]) + words.count(BENCHMARK["NAMED"]) > 0.8 * n


def test_pick_says_when_the_file_to_ship_is_not_the_one_that_was_measured(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEBOOK_REPORTS", str(tmp_path))
    path = tmp_path / "mine" / "artifacts" / "net.onnx"
    write_text(path, "a network")
    row = baselines()[0] | {"artifact": "artifacts/net.onnx", "sha256": sha256(path)}
    write_rows(tmp_path / "mine" / "rows" / "10_baseline.jsonl", [row])

    def picked():
        return [line.strip() for line in CliRunner().invoke(app, ["pick", "mine"]).stdout.splitlines()[1:]]

    assert picked() == [str(path), f"edgebook bundle mine {row['row_id']}"]
    path.write_bytes(b"a netwxrk")
    assert picked() == [f"{path} is damaged, do not ship it; `edgebook run` makes it again"]
    path.unlink()
    assert picked() == [f"{path} is missing; `edgebook run` makes it again"]
