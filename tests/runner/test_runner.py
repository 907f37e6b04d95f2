"""The command line: what is wrong is one line and exit code 2, and nothing was started or overwritten."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from edgebook.errors import BadInput
from edgebook.paths import NOTEBOOKS
from edgebook.runner.execute import default_jobs
from edgebook.runner.plan import plan, read_preset

ROOT = NOTEBOOKS.parent


def edgebook(*arguments, **environment):
    command = [sys.executable, "-c", "from edgebook.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, **environment})


@pytest.fixture
def preset(tmp_path):
    """A function that writes a changed smoke preset and gives its path."""

    def write(**changes):
        plain = {"points": [{"task": "mnist1d", "model": "conv1d"}]}
        content = yaml.safe_load((ROOT / "params" / "smoke.yaml").read_text()) | plain | changes
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


@pytest.mark.parametrize(("cores", "threads", "jobs"), [(1, 1, 1), (2, 1, 2), (2, 2, 1), (8, 2, 4), (64, 1, 4)])
def test_notebooks_at_once_are_what_the_cores_can_train(cores, threads, jobs, preset, monkeypatch):
    executions = plan(read_preset(preset(), [f"shared.train_threads={threads}"]), "mine")
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert default_jobs(executions) == jobs


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"points": [{"task": "mnist2d", "model": "conv1d"}]}, "task = 'mnist2d' is unknown"),
        ({"points": [{"task": "mnist1d"}]}, "points[0] = {'task': 'mnist1d'}: task and model are needed"),
        ({"points": 3}, "points = 3: a list is needed"),
        ({"extra": 1}, "extra is unknown; allowed: "),
        ({"notebooks": {"21_prune": {}}}, "notebook '21_prune' is unknown; known: 10_baseline"),
        (
            {"notebooks": {"20_prune_sweep": {"ratios": [1]}}},
            "20_prune_sweep.ratios is not a parameter of that notebook",
        ),
        ({"notebooks": {"20_prune_sweep": {"pruning_ratios": [1.0]}}}, "pruning_ratios[0] = 1.0: Input should be less than 1"),
        ({"shared": {"baseline_lr": "1e-2"}}, "shared: baseline_lr = '1e-2'"),
        ({"points": [{"task": "mnist1d", "model": "conv1d"}] * 2}, "two points have the same task, model and seed"),
    ],
)
def test_a_bad_preset_is_refused_before_anything_starts(changes, said, preset):
    with pytest.raises(BadInput) as error:
        plan(read_preset(preset(**changes)), "mine")
    assert said in str(error.value)
    assert str(error.value).count("\n") == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "params/none.yaml"], "params/none.yaml: cannot be read"),
        (["run", "none"], "preset 'none' is unknown; known: "),
        (["run", "smoke", "--only", "99_none"], "notebook '99_none' is unknown"),
        (["run", "smoke", "--set", "20_prune_sweep.importances=[best]"], "importances = 'best' is unknown; allowed: "),
        (["run", "smoke", "--set", "pruning_ratios"], "write notebook.parameter=value"),
        (["params", "none"], "notebook 'none' is unknown"),
        (["report", "never-ran"], "no rows"),
        (["pick", "never-ran"], "no rows"),
    ],
)
def test_the_command_line_says_it_in_one_line(arguments, said, tmp_path):
    done = edgebook(*arguments, EDGEBOOK_REPORTS=str(tmp_path / "reports"))
    assert done.returncode == 2
    assert done.stderr.startswith("edgebook: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert not list(tmp_path.rglob("*.ipynb"))


def test_an_unwritable_reports_folder_is_refused(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    done = edgebook("run", "smoke", EDGEBOOK_REPORTS=str(blocked))
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert blocked.read_text() == "not a folder"


@pytest.mark.parametrize(
    ("point", "said"),
    [
        ({"task": "digits", "model": "conv1d"}, "conv1d"),
        ({"task": "mnist1d", "model": "conv1d", "params": {"model_shape": {"wide": 3}}}, "wide"),
        ({"task": "broken.npz", "model": "mlp"}, "x_test"),
    ],
)
def test_data_and_networks_that_do_not_fit_are_refused_before_anything_starts(point, said, preset, tmp_path):
    if point["task"] == "broken.npz":
        np.savez(tmp_path / "broken.npz", x_train=np.zeros((9, 4), np.float32), y_train=np.arange(9) % 3)
        point = point | {"task": str(tmp_path / "broken.npz")}
    done = edgebook("run", preset(points=[point]), EDGEBOOK_REPORTS=str(tmp_path / "reports"))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert not list(tmp_path.rglob("*.ipynb"))


def test_a_dry_run_lists_everything_and_starts_nothing(tmp_path):
    done = edgebook("run", "quick", "--dry-run", EDGEBOOK_REPORTS=str(tmp_path))
    assert done.returncode == 0
    assert "10_baseline--digits-resnet8--s0" in done.stdout
    assert not list(tmp_path.iterdir())


def test_layers_of_parameters(preset):
    path = preset(seeds=[1, 2], points=[{"task": "mnist1d", "model": "conv1d", "params": {"baseline_epochs": 7}}])
    changed = read_preset(path, ["20_prune_sweep.pruning_ratios=[0.3]", "shared.threads=2"])
    executions = {e.name: e.params for e in plan(changed, "mine")}
    sweep = executions["20_prune_sweep--mnist1d-conv1d--s2"]
    assert (sweep["seed"], sweep["baseline_epochs"], sweep["pruning_ratios"], sweep["threads"]) == (2, 7, [0.3], 2)
    assert sweep["run"] == "mine"
    assert list(executions)[-1] == "90_compare"


def test_a_preset_given_by_hand_overrides_a_points_own_value(preset):
    path = preset(points=[{"task": "mnist1d", "model": "conv1d", "params": {"finetune_epochs": 7}}])
    changed = read_preset(path, ["20_prune_sweep.finetune_epochs=3"])
    assert [e.params["finetune_epochs"] for e in plan(changed, "mine", ["20_prune_sweep"])] == [3]


@pytest.mark.parametrize("path", sorted((ROOT / "params").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_preset_that_ships_can_be_planned(path):
    assert plan(read_preset(path), Path(path).stem)


def test_doctor_names_runtimes_and_data():
    done = edgebook("doctor")
    assert done.returncode == 0
    assert "onnxruntime 1." in done.stdout
    assert "3600 train, 400 validation, 1000 test" in done.stdout
