"""docs/kinds.md, the table that benchmarks/kinds.py makes, has every notebook and every kind."""

import re

from repository import ROOT

from edgebook.paths import NOTEBOOKS
from edgebook.runner.notebook_file import reads
from edgebook.tasks.kinds import KINDS

TEXT = (ROOT / "docs" / "kinds.md").read_text(encoding="utf-8")
TABLE = [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\|.*\|$", TEXT, re.M)]


def test_the_table_has_every_kind_and_every_notebook_that_reads_data():
    assert set(TABLE[0][1:]) == set(KINDS)
    stems = [path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb")) if "data" in reads(path.stem)]
    assert [line[0].strip("`") for line in TABLE[2:]] == stems


def test_what_does_not_work_has_a_reason():
    reasons = dict(re.findall(r"^(\d+)\. (.+)$", TEXT, re.M))
    cells = {cell for line in TABLE[2:] for cell in line[1:]}
    assert cells - {"works"} == {f"no ({number})" for number in reasons}
    assert all(len(reason) > 10 for reason in reasons.values())


def test_the_notebooks_that_tests_run_for_every_kind_work_in_the_table():
    for line in TABLE[2:]:
        if line[0].strip("`") in ("10_baseline", "20_prune_sweep", "30_quantize_sweep"):
            assert set(line[1:]) == {"works"}
