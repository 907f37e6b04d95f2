"""What is damaged is made again or named, never believed in silence: benchmarks/damage.py at a tenth of its size."""

from __future__ import annotations

import random
import runpy

import pytest
from repository import ROOT

BENCHMARK = runpy.run_path(str(ROOT / "benchmarks" / "damage.py"))


@pytest.mark.parametrize(("change", "n"), [("flip", 20), ("damage", 18)])
def test_no_damage_of_store_rows_or_records_is_believed_in_silence(change, n, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEBOOK_STORE", str(tmp_path))  # set back afterwards
    outcomes = BENCHMARK["series"](tmp_path, n, BENCHMARK[change], random.Random(1))
    wrong = [(path.name, word) for _, path, word in outcomes if word.startswith((BENCHMARK["SILENT"], BENCHMARK["TRACEBACK"]))]
    assert wrong == []
    words = [word for _, _, word in outcomes]
    assert words.count(BENCHMARK["HEALED"]) + words.count(BENCHMARK["NAMED"]) > 0.8 * n
