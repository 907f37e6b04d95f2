"""The notebooks are the product: how they read, and every one run for real with the preset smoke."""

import ast
import json
import os
import re
import subprocess
import sys

import nbformat
import pytest
import yaml

from edgebook.paths import NOTEBOOKS
from edgebook.rows import read_rows
from edgebook.runner.notebook_file import reads
from edgebook.vocabulary import FAMILIES, ROLES

ROOT = NOTEBOOKS.parent
BOOKS = sorted(NOTEBOOKS.glob("*.ipynb"))


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_how_a_notebook_reads(path):
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code), "committed with outputs"
    assert book.cells[0].cell_type == "markdown"
    assert "?" in book.cells[0].source.splitlines()[0], "a notebook starts with its question"
    assert book.cells[-1].cell_type == "markdown", "a notebook ends with what the figure shows"
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in code) == 1
    assert len(code) <= 12
    assert set(book.metadata["edgebook"]["reads"]) <= {"data", "rows", "devices"}
    for cell in code:
        lines = len(cell.source.splitlines())
        assert lines <= 10 or "parameters" in cell.metadata.get("tags", []), cell.source
        kinds = {type(node) for node in ast.walk(ast.parse(cell.source))}
        assert not kinds & {ast.FunctionDef, ast.ClassDef, ast.Lambda}
        assert "!pip" not in cell.source
        assert set(re.findall(r"""family["']?[=:] *"(\w+)""", cell.source)) <= FAMILIES.keys()
        assert set(re.findall(r"""role["']?[=:] *"(\w+)""", cell.source)) <= ROLES.keys()


def blocks_of(tree):
    """Every `with version(...)` of a notebook's code."""
    withs = [node for node in ast.walk(tree) if isinstance(node, ast.With)]
    calls = [(block, block.items[0].context_expr) for block in withs]
    return [block for block, call in calls if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "version"]


def names(node, context):
    """(name, line) of every name that is stored or loaded under a node."""
    return [(n.id, n.lineno) for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, context)]


def leaked(tree):
    """Names that a version's block assigns and that are read where the block may have failed before: elsewhere, or earlier in the
    same block (left over from the round of a loop before).
    """
    found, blocks = [], blocks_of(tree)
    body_of = {id(n): block for block in blocks for statement in block.body for n in ast.walk(statement)}
    for block in blocks:
        stored = {}
        for statement in block.body:
            for name, line in names(statement, ast.Store):
                stored[name] = min(line, stored.get(name, line))
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in stored:
                reader = body_of.get(id(node))
                inside = reader is block and node.lineno > stored[node.id]
                assigns_itself = reader not in (None, block) and any(
                    name == node.id and line < node.lineno for part in reader.body for name, line in names(part, ast.Store)
                )
                if not (inside or assigns_itself):
                    found.append((node.id, node.lineno))
    return found


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_a_version_reads_what_another_one_made_only_through_its_model(path):
    """`other.model` raises when the other version failed; a bare variable would hold what an earlier one left there."""
    code = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert leaked(ast.parse("\n".join(code))) == []


@pytest.mark.parametrize(
    ("body", "names_leaked"),
    [
        ("with version(nb) as v:\n    cut = f()\n    v.model = g(cut)", []),
        ("with version(nb) as v:\n    cut = f()\nwith version(nb) as w:\n    w.model = g(cut)", ["cut"]),
        ("with version(nb) as v:\n    cut = f()\nwith version(nb) as w:\n    cut = f()\n    w.model = g(cut)", []),
        ("cut = net\nfor r in rs:\n    with version(nb) as v:\n        cut = f(cut)\n        v.model = cut", ["cut"]),
        ("with version(nb) as v:\n    v.model = f()\nwith version(nb) as w:\n    w.model = g(v.model)", []),
        ("with version(nb) as v:\n    cut = f()\nprint(cut)", ["cut"]),
    ],
)
def test_the_rule_finds_what_it_should(body, names_leaked):
    assert [name for name, _ in leaked(ast.parse(body))] == names_leaked


def edgebook(folder, *arguments):
    command = [sys.executable, "-c", "from edgebook.cli import main; main()", *arguments]
    environment = {**os.environ, "EDGEBOOK_REPORTS": str(folder)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)


def execution(folder, stem):
    """The name of a run's only execution of a notebook."""
    (rows,) = (folder / "rows").glob(f"{stem}--*.jsonl")
    return rows.stem


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """The preset smoke through the real runner: its folder and what was printed."""
    folder = tmp_path_factory.mktemp("reports")
    done = edgebook(folder, "run", "smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "smoke", done.stdout


def test_every_notebook_runs_and_leaves_rows_and_a_page(smoke):
    folder, printed = smoke
    assert str(folder / "index.html") in printed
    found = read_rows(folder)
    with_rows = {path.stem for path in BOOKS if reads(path.stem)}
    assert {path.stem for path in BOOKS if path.stem not in printed} == set(), "a notebook is missing in params/smoke.yaml"
    assert {row["notebook"] for row in found} == with_rows
    assert not [row for row in found if row["status"] == "failed"]
    ok = [row for row in found if row["status"] == "ok"]
    assert all(row["score"] is not None and row["size_bytes"] > 0 for row in ok)
    for execution in {row["execution"] for row in found}:
        page = (folder / "pages" / f"{execution}.html").read_text()
        assert "<h1" in page
        assert "Traceback" not in page


def test_pages_ask_no_other_host(smoke):
    folder, _ = smoke
    for page in [folder / "index.html", *(folder / "pages").glob("*.html")]:
        text = page.read_text()
        assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//[^"'> ]+""", text), page.name
        assert not re.search(r"@import|url\(\s*['\"]?http", text)
        assert all("alt=" in image for image in re.findall(r"<img[^>]*>", text))


def test_rows_csv_holds_every_row(smoke):
    folder, _ = smoke
    table = (folder / "rows.csv").read_text()
    assert all(row["row_id"] in table for row in read_rows(folder))
    assert "asked.pruning_ratio" in table.splitlines()[0]


def test_a_second_run_finds_everything(smoke):
    folder, _ = smoke
    before = {path: path.stat().st_mtime_ns for path in (folder / "rows").iterdir()}
    done = edgebook(folder.parent, "run", "smoke")
    words = [line for line in done.stdout.splitlines() if line.startswith("[")]
    assert done.returncode == 0
    assert all(": found (" in line for line in words), done.stdout
    assert {path: path.stat().st_mtime_ns for path in (folder / "rows").iterdir()} == before


def test_plain_papermill_gives_the_same_scores(smoke, tmp_path):
    folder, _ = smoke
    name = execution(folder, "20_prune_sweep")
    before = [(row["point_id"], row["runtime"], row["score"]) for row in read_rows(folder / "rows" / f"{name}.jsonl")]
    given = yaml.safe_load((folder / "params" / f"{name}.yaml").read_text())
    changed = tmp_path / "params.yaml"
    changed.write_text(yaml.safe_dump(given | {"run": "plain"}))
    command = [
        sys.executable,
        "-m",
        "papermill",
        "20_prune_sweep.ipynb",
        str(tmp_path / "out.ipynb"),
        "-f",
        str(changed),
        "-k",
        "python3",
    ]
    done = subprocess.run(
        command, cwd=NOTEBOOKS, env={**os.environ, "EDGEBOOK_REPORTS": str(folder.parent)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    after = [(r["point_id"], r["runtime"], r["score"]) for r in read_rows(folder.parent / "plain" / "rows" / f"{name}.jsonl")]
    assert after == before


def test_a_version_that_fails_is_a_row_and_the_others_go_on(smoke):
    folder, _ = smoke
    absurd = "20_prune_sweep.finetune_recipe.lr=1.0e+30"  # fine-tuning diverges
    done = edgebook(folder.parent, "run", "smoke", "--name", "fails", "--only", "20_prune_sweep", "--set", absurd)
    assert done.returncode == 1
    assert "failed; the index lists them with the reasons" in done.stderr
    found = read_rows(folder.parent / "fails")
    assert {row["family"] for row in found if row["status"] == "failed"} == {"prune", "scratch"}  # the second after the first
    assert all("a smaller lr" in row["error"] for row in found if row["status"] == "failed")
    assert {row["family"] for row in found if row["status"] == "ok"} == {"baseline"}
    skipped = [row for row in found if row["status"] == "skipped"]
    assert {row["method"] for row in skipped} == {"prune-defaults"}  # it is cut to the MACs of the one that failed
    assert all("which failed" in row["error"] and "a smaller lr" in row["error"] for row in skipped)
    assert "a smaller lr" in (folder.parent / "fails" / "index.html").read_text()


def test_what_a_technique_cannot_take_is_unsupported_and_leaves_the_others_their_rows(smoke):
    folder, _ = smoke
    importances = '20_prune_sweep.importances=["bn_scale", "l2"]'  # conv1d has no batch norm
    done = edgebook(folder.parent, "run", "smoke", "--name", "one", "--only", "20_prune_sweep", "--set", importances)
    assert done.returncode == 0, done.stderr
    found = read_rows(folder.parent / "one")
    refused = [row for row in found if row["status"] == "unsupported"]
    assert {row["method"] for row in refused} == {"prune-bn_scale"}
    assert all("needs batch norm" in row["error"] and row["extra"]["unsupported"] == "structure" for row in refused)
    assert {row["method"] for row in found if row["status"] == "skipped"} == {"prune-defaults"}
    assert {row["method"] for row in found if row["status"] == "ok"} == {"baseline", "prune-l2", "scratch"}


def test_pick_names_a_file_that_is_there(smoke):
    folder, _ = smoke
    done = edgebook(folder.parent, "pick", "smoke", "--max-loss", "1")
    assert done.returncode == 0
    assert done.stdout.startswith("mnist1d · conv1d, on host, 1 thread, 1 item per call: Ship ")
    file, bundle = (line.strip() for line in done.stdout.strip().splitlines()[-2:])
    assert (folder / file.removeprefix(str(folder) + "/")).is_file()
    assert bundle.startswith("edgebook bundle smoke ")


def test_a_notebook_that_dies_is_a_failed_row(smoke, tmp_path):
    folder, _ = smoke
    done = edgebook(folder.parent, "run", "smoke", "--name", "dies", "--only", "10_baseline", "--set", "10_baseline.device=cuda")
    state = json.loads((folder.parent / "dies" / "state" / f"{execution(folder, '10_baseline')}.json").read_text())
    assert done.returncode == 1
    assert "'cuda' is not here" in state["error"]
    assert [row["status"] for row in read_rows(folder.parent / "dies")] == ["failed"]
