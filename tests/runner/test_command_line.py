"""`edgebook run` as it is typed: what is wrong is one line and exit code 2, and nothing was started or written."""

import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from edgebook.cli import runs
from edgebook.errors import BadInput
from edgebook.paths import CHECKOUT
from edgebook.runner.executors.this_machine import default_jobs


def edgebook(*arguments, **environment):
    command = [sys.executable, "-c", "from edgebook.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT, env={**os.environ, **environment})


@pytest.fixture
def smoke(tmp_path):
    """A function that writes the preset smoke with other points and gives its path."""

    def write(*points):
        content = yaml.safe_load((CHECKOUT / "params" / "smoke.yaml").read_text())
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(content | {"points": list(points)}))
        return path

    return write


@pytest.mark.parametrize(("gigabytes", "jobs"), [(0.5, 1), (4, 2), (64, 42)])
def test_no_more_notebooks_at_once_than_the_memory_holds(gigabytes, jobs, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=gigabytes * 1e9))
    assert default_jobs() == jobs


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "params/none.yaml"], "params/none.yaml: cannot be read"),
        (["run", "none"], "preset 'none' is unknown; allowed: "),
        (["run", "smoke", "--only", "99_none"], "notebook '99_none' is unknown"),
        (["run", "smoke", "--set", "20_prune_sweep.importances=[best]"], "importances = 'best' is unknown; allowed: "),
        (["run", "smoke", "--set", "pruning_ratios"], "write notebook.parameter=value"),
        (["run", "smoke", "--set", "10_baseline.task=digits"], "task is set by points"),
        (["run", "smoke", "--set", "10_baseline.measure_s=1:30"], "measure_s = '1:30': Input should be a valid number"),
        (["run", "smoke", "--name", ".."], "--name: run = '..'"),
    ],
)
def test_what_is_wrong_is_one_line(arguments, said, tmp_path):
    done = edgebook(*arguments, EDGEBOOK_REPORTS=str(tmp_path / "reports"))
    assert done.returncode == 2
    assert done.stderr.startswith("edgebook: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("point", "said"),
    [
        ({"task": "digits", "model": "conv1d"}, "conv1d"),
        ({"task": "mnist1d", "model": "conv1d", "params": {"model_shape": {"wide": 3}}}, "wide"),
        ({"task": "broken.npz", "model": "mlp"}, "x_test"),
        ({"task": "mnist1d", "model": "net.py:build"}, "RuntimeError: no network today"),
    ],
)
def test_data_and_networks_that_do_not_fit_are_refused_before_anything_starts(point, said, smoke, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEBOOK_REPORTS", str(tmp_path / "reports"))
    np.savez(tmp_path / "broken.npz", x_train=np.zeros((9, 4), np.float32), y_train=np.arange(9) % 3)
    (tmp_path / "net.py").write_text("def build(input_shape, n_outputs):\n    raise RuntimeError('no network today')\n")
    places = {name: str(tmp_path / value) for name, value in point.items() if name != "params" and "." in value}
    with pytest.raises(BadInput) as refused:
        runs.run(smoke(point | places))
    assert "\n" not in str(refused.value)
    assert said in str(refused.value)
    assert not (tmp_path / "reports").exists()


def test_a_dry_run_lists_everything_and_starts_nothing(tmp_path):
    done = edgebook("run", "quick", "--dry-run", EDGEBOOK_REPORTS=str(tmp_path))
    assert done.returncode == 0
    assert "10_baseline--digits-resnet8-" in done.stdout
    assert not list(tmp_path.iterdir())


def test_planning_needs_no_pytorch():
    code = "import sys, edgebook.runner.run, edgebook.runner.key; print({'torch', 'pandas', 'papermill'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
