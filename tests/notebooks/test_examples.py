"""The worked examples: their data written small, all through the real runner in one run, as their presets say but short."""

import os
import re
import subprocess
import sys

import pytest
import yaml
from repository import ROOT

from edgebook.experiment.preflight import check
from edgebook.rows import read_rows
from edgebook.runner.plan import plan
from edgebook.runner.preset import read_preset
from edgebook.tasks import load_task
from edgebook.tasks.examples import EXAMPLES, write_example
from edgebook.tasks.fashion_mnist import local_folder

PRESETS = ROOT / "params" / "examples"
PAGES = ROOT / "docs" / "examples"
HERE = [name for name in EXAMPLES if name != "sorting" or local_folder()]
ABSENT = "Fashion-MNIST is not on this machine, and tests download nothing"
POINTS = {"machines": "anomaly", "gas_sensor": "regression", "roads": "segmentation"}
SHORT = {
    "runtimes": ["onnx"],
    "precisions": ["int8-static"],
    "granularities": ["channel"],
    "algorithms": ["minmax"],
    "n_calibration": 16,
    "calibration_sizes": [],
    "calibration_seeds": [0],
    "repairs": [],
}


def needs_data(name):
    return pytest.param(name, marks=[] if name in HERE else pytest.mark.skip(reason=ABSENT))


ALL = [needs_data(name) for name in EXAMPLES]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with the data of all examples, a quarter of their size."""
    folder = tmp_path_factory.mktemp("examples")
    for name in HERE:
        write_example(name, folder / "data", size=0.25)
    return folder


@pytest.fixture(scope="module")
def run(data):
    """The rows of one run of every example's points, trained briefly, in one runtime and number format."""
    points = []
    for name in HERE:
        preset = yaml.safe_load((PRESETS / f"{name}.yaml").read_text(encoding="utf-8"))
        for point in preset["points"]:
            recipe = {**point["params"]["baseline_recipe"], "epochs": 12}
            short = {"only": ["30_quantize_sweep"], "params": {**point["params"], "baseline_recipe": recipe}}
            points.append({"task": point["task"], "model": point["model"], **short})
    shared = {"threads": 1, "train_threads": 1, "measure_s": 0.01, "device": "cpu"}
    content = {"shared": shared, "points": points, "notebooks": {"30_quantize_sweep": SHORT}}
    (data / "examples.yaml").write_text(yaml.safe_dump(content))
    command = [sys.executable, "-c", "from edgebook.cli import main; main()", "run", "examples.yaml"]
    environment = {**os.environ, "EDGEBOOK_REPORTS": str(data / "reports")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=data)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return read_rows(data / "reports" / "examples")


@pytest.mark.parametrize("name", ALL)
def test_a_preset_is_short_and_can_be_run_as_it_is(name, data, monkeypatch):
    monkeypatch.chdir(data)
    file = PRESETS / f"{name}.yaml"
    assert 10 <= len(file.read_text(encoding="utf-8").splitlines()) <= 20
    executions = plan(read_preset(file), name)
    assert {"10_baseline", "30_quantize_sweep", "90_compare"} <= {execution.notebook for execution in executions}
    check(executions)


@pytest.mark.parametrize("name", ALL)
def test_files_are_made_and_scored_by_what_the_kind_is_scored_by(name, run, data):
    task = load_task(str(data / "data" / f"{name}.yaml"))
    rows = [row for row in run if row["task"] == name]
    assert task.kind_name == POINTS.get(name, "classification")
    assert {row["status"] for row in rows} == {"ok"}
    assert {row["precision"] for row in rows} == {"fp32", "int8-static"}
    assert {row["metric"] for row in rows} == {task.metric.name}
    assert all(row["score"] > row["chance"] for row in rows if row["precision"] == "fp32")


def test_no_patient_home_or_machine_is_in_two_splits(data):
    for name in HERE:
        task = load_task(str(data / "data" / f"{name}.yaml"))
        groups = [set(task.groups[split].tolist()) for split in ("train", "val", "test")] if task.groups else []
        assert (name == "sorting") == (not groups)
        assert all(not a & b for a in groups for b in groups if a is not b)


def test_keyword_spotting_counts_false_alarms_and_misses_per_hour(run):
    rows = [row for row in run if row["task"] == "keywords"]
    assert {row["model"] for row in rows} == {"ds_cnn", "gru"}
    for row in rows:
        extra = row["extra"]
        assert (
            0 <= extra["false_alarms_per_hour_lo"] <= extra["false_alarms_per_hour"] <= extra["false_alarms_per_hour_hi"] <= 4000
        )
        assert 0 <= extra["misses_per_hour"] <= 3600


def test_broken_readings_are_left_out_and_said(data):
    task = load_task(str(data / "data" / "gas_sensor.yaml"))
    assert any("broken items are left out" in note for note in task.notes)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_page_names_the_commands_and_shows_the_description(name):
    page, preset = PAGES / f"{name}.md", PRESETS / f"{name}.yaml"
    text = page.read_text(encoding="utf-8")
    assert f"edgebook example {name}\n" in text
    assert f"edgebook data data/{name}.yaml\n" in text
    assert f"edgebook run params/examples/{name}.yaml\n" in text
    described = yaml.safe_load(re.search(r"```yaml\n(path: .*?)```", text, re.S)[1])
    assert described == {"path": EXAMPLES[name].data, **EXAMPLES[name].description}
    assert f"docs/examples/{name}.md" in preset.read_text(encoding="utf-8").splitlines()[1]
