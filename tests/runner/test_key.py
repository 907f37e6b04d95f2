"""An execution's key: everything that decides its rows is in it, and what does not is not."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from edgebook import parameters, paths
from edgebook.runner.key import execution_key
from edgebook.runner.plan import plan
from edgebook.runner.preset import read_preset
from edgebook.source_key import closure

USES = "from edgebook.training.loop import train\nfrom edgebook.tasks import load_task\nload_task(task)\ntrain\n"


@pytest.fixture
def key(preset, notebooks, tmp_path):
    """A function that gives the key of the first execution, or of a later one, of a preset that is changed."""

    def of(n=0, *, overrides=(), **changes):
        executions = plan(read_preset(preset(**changes), list(overrides)), "mine")
        return execution_key(tmp_path / "run", executions[n], executions)

    return of


def edit(book, old, new):
    text = book.read_text()
    assert old in text
    book.write_text(text.replace(old, new))
    parameters.notebook_defaults.cache_clear()


def test_parameters_and_code_are_in_the_key_and_prose_is_not(key, notebooks):
    before, book = key(), notebooks / "20_sweep.ipynb"
    assert key() == before
    assert key(overrides=["20_sweep.threads=2"]) != before
    assert key(overrides=["20_sweep.finetune_recipe.lr=0.2"]) != before
    assert key(overrides=["seeds=[1]"]) != before
    edit(book, "What it shows.", "What it shows, in other words.")
    edit(book, "write(2)", "# how many\\nwrite(2)")
    assert key() == before
    edit(book, "write(2)", "write(3)")
    assert key() != before


def test_a_default_that_the_preset_sets_is_not_in_the_key(key, notebooks):
    changes = {"notebooks": {"20_sweep": {"threads": 4}}}
    before, default = key(**changes), key(shared={})
    edit(notebooks / "20_sweep.ipynb", "threads = 1", "threads = 3")
    assert key(**changes) == before
    assert key(shared={}) != default


def test_the_source_that_the_code_uses_is_in_the_key(key, notebooks, monkeypatch):
    seen = []

    def spy(**given):
        seen.append(given)
        return replace(closure(**given), digest=digest)

    monkeypatch.setattr("edgebook.runner.key.closure", spy)
    digest = "a"
    before = key()
    digest = "b"
    assert key() != before
    assert "write(2)" in seen[0]["code"]
    assert {"digits", "mlp"} <= set(seen[0]["names"]), "they select the entries of registries"


def test_a_data_set_or_a_runtime_more_changes_nothing(notebooks):
    reached = closure(code=USES, names=["digits"]).definitions
    assert "edgebook.tasks.digits:digits" in reached
    assert "edgebook.training.loop:train" in reached
    assert not [place for place in reached if place.startswith(("edgebook.tasks.fashion_mnist", "edgebook.runtimes"))]
    assert not [place for place in reached if place.startswith("edgebook.report")]


def test_files_that_a_parameter_names_are_in_the_key(key, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = {
        "data.npz": "1",
        "net.py": "import helper\ndef build(input_shape, n_outputs): ...\n",
        "helper.py": "W = 1\n",
        "weights.pt": "1",
        "unrelated.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    points = [{"task": "data.npz", "model": "net.py:build", "params": {"model_shape": {"weights": "weights.pt"}}}]
    before = key(points=points)
    for name in files:
        edited = files[name] + ("\nEDITED = 1\n" if name.endswith(".py") else "2")
        (tmp_path / name).write_text(edited)
        assert (key(points=points) == before) == (name == "unrelated.py"), name
        (tmp_path / name).write_text(files[name])
    assert key(points=points) == before


def test_all_files_of_the_users_own_data_are_in_the_key(key, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words" / "yes").mkdir(parents=True)
    files = {"words/yes/1.wav": "1", "speakers.csv": "1", "speech.yaml": "{path: words, items: speakers.csv}", "other.yaml": "{}"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    points = [{"task": "speech.yaml", "model": "mlp"}]
    before = key(points=points)
    for name in files:
        (tmp_path / name).write_text(files[name] + " ")
        assert (key(points=points) == before) == (name == "other.yaml"), name
        before = key(points=points)
    (tmp_path / "words" / "yes" / "2.wav").write_text("2")
    assert key(points=points) != before


@pytest.mark.parametrize("reads", ['["devices"]', '["data"]'])
def test_the_boards_are_in_the_key_where_they_are_read(reads, key, notebooks):
    book = notebooks / "20_sweep.ipynb"
    edit(book, '"reads": ["data"]', f'"reads": {reads}')
    before = key()
    paths.DEVICES.write_text("{a: 1}")
    assert (key() != before) == (reads == '["devices"]')


def test_the_boards_are_in_the_key_where_the_code_reaches_for_them(key, notebooks):
    edit(notebooks / "20_sweep.ipynb", "write(2)", "write(2)\\nfrom edgebook.devices import load_devices\\nload_devices()")
    before = key()
    paths.DEVICES.write_text("{a: 1}")
    assert key() != before


def test_rows_are_in_the_key_of_what_reads_them(key, tmp_path):
    executions = {"notebooks": {"20_sweep": None, "30_sweep": None}, "seeds": [0, 1]}
    sweep, reader = key(0, **executions), key(-1, **executions)
    folder = tmp_path / "run" / "rows"
    folder.mkdir(parents=True)
    (folder / "20_sweep--elsewhere--s0.jsonl").write_text("{}")
    assert key(-1, **executions) == reader, "an execution that the preset does not name"
    names = [e.name for e in plan(read_preset(tmp_path / "small.yaml"), "mine")]
    for name in names[:4]:
        (folder / f"{name}.jsonl").write_text(json.dumps({"score": 1}))
        assert key(-1, **executions) != reader
        reader = key(-1, **executions)
    (folder / f"{names[-1]}.jsonl").write_text("{}")
    assert key(-1, **executions) == reader, "its own rows"
    assert key(0, **executions) == sweep


def test_with_a_task_only_the_rows_of_its_own_data_network_and_seed_count(key, notebooks, tmp_path):
    edit(notebooks / "30_sweep.ipynb", '"reads": ["data"]', '"reads": ["data", "rows"]')
    changes = {"notebooks": {"20_sweep": None, "30_sweep": None}, "seeds": [0, 1], "once": []}
    before = key(2, **changes)
    folder = tmp_path / "run" / "rows"
    folder.mkdir(parents=True)
    names = [e.name for e in plan(read_preset(tmp_path / "small.yaml"), "mine")]
    (folder / f"{names[1]}.jsonl").write_text("{}")
    assert key(2, **changes) == before
    (folder / f"{names[0]}.jsonl").write_text("{}")
    assert key(2, **changes) != before


def test_the_schema_of_rows_is_in_the_key(key, monkeypatch):
    before = key()
    monkeypatch.setattr("edgebook.rows.SCHEMA", 99)
    assert key() != before


def test_keys_do_not_depend_on_the_order_of_sets():
    code = (
        "from edgebook.runner.preset import read_preset; from edgebook.runner.plan import plan; from edgebook.runner.key import"
        " source_of; from edgebook.paths import NOTEBOOKS; preset = read_preset(NOTEBOOKS.parent / 'params/smoke.yaml', []);"
        " print([source_of(execution).digest for execution in plan(preset, 'smoke')])"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        )
        for seed in ("1", "3", "4")
    ]
    assert len({done.stdout for done in runs}) == 1
