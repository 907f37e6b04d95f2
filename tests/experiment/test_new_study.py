"""A study that `edgebook new` writes runs as it is: its preset is planned, its network built and called, for every kind."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from edgebook.cli import app
from edgebook.errors import BadInput
from edgebook.experiment.new_study import STEPS, _training, new_study
from edgebook.experiment.preflight import check
from edgebook.models.network_file import VARIABLE
from edgebook.runner.plan import plan
from edgebook.runner.preset import read_preset


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "")
    return tmp_path


def runs(study, name):
    """The preset's point, after what `edgebook run` checks before it starts anything."""
    executions = plan(read_preset(study.preset), name)
    check(executions)
    assert {"10_baseline", "30_quantize_sweep", "90_compare"} < {execution.notebook for execution in executions}
    (point,) = yaml.safe_load(study.preset.read_text())["points"]
    return point


@pytest.mark.parametrize(
    ("task", "model"),
    [("digits", "resnet8"), ("mnist1d", "conv1d"), ("diabetes", "mlp"), ("vibration", "autoencoder"), ("shapes", "unet")],
)
def test_a_network_that_suits_the_data_is_taken(here, task, model):
    point = runs(new_study("mine", task, None, here), "mine")
    assert (point["task"], point["model"]) == (task, model)


@pytest.mark.parametrize("task", ["digits", "mnist1d", "diabetes", "vibration", "shapes"])
def test_a_network_file_is_written_where_there_is_none_and_fits(here, task):
    study = new_study("mine", task, "nets/net.py:make", here)
    assert study.network == here / "nets" / "net.py"
    assert "def make(input_shape, n_outputs, *, width=16):" in study.network.read_text()
    assert runs(study, "mine")["model"] == "nets/net.py:make"
    assert any("net.py is written" in note for note in study.notes)


def test_data_of_ones_own_with_a_network_that_is_there(here):
    rng = np.random.default_rng(0)
    folder = here / "my data"
    folder.mkdir()
    np.savez(folder / "heart #1.npz", x=rng.normal(size=(200, 1, 40)), y=rng.choice(["good", "bad"], 200))
    (here / "net.py").write_text(
        "from torch import nn\n\ndef build(i, o):\n    return nn.Sequential(nn.Flatten(), nn.Linear(i[-1], o))\n"
    )
    study = new_study("mine", "my data/heart #1.npz", "net.py:build", here)
    assert study.network is None
    assert runs(study, "mine")["task"] == "my data/heart #1.npz"


def test_a_recurrent_network_loses_hidden_units(here):
    study = new_study("mine", "mnist1d", "gru", here)
    assert "24_prune_recurrent" in yaml.safe_load(study.preset.read_text())["notebooks"]
    runs(study, "mine")


@pytest.mark.parametrize("n_items", [20, 300, 2000, 60_000])
def test_batches_and_epochs_follow_the_number_of_items(n_items):
    values, said = _training(n_items)
    steps = values["epochs"] * -(-n_items // values["batch_size"])
    assert steps <= 5.1 * n_items or steps <= 1.1 * STEPS
    assert values["epochs"] == 100 or steps > 0.9 * STEPS
    assert f"{values['epochs']} epochs" in said


def test_the_command_says_what_it_chose(here):
    done = CliRunner().invoke(app, ["new", "mine", "--task", "digits", "--model", "net.py:build"])
    assert done.exit_code == 0
    assert "net.py is written" in done.stdout
    assert "1,294 items, batches of 64, 74 epochs: about 1,554 steps" in done.stdout
    assert done.stdout.endswith("now: edgebook run mine.yaml\n")


def test_what_the_data_do_not_say_is_set_and_written_beside_the_preset(here):
    rng = np.random.default_rng(0)
    lines = ["a,b,quality", *(f"{a:.3f},{b:.3f},{'good' if a > b else 'bad'}" for a, b in rng.normal(size=(200, 2)))]
    (here / "data.csv").write_text("\n".join(lines))
    done = CliRunner().invoke(app, ["new", "mine", "--task", "data.csv", "--set", "label=quality"])
    assert done.exit_code == 0
    assert yaml.safe_load((here / "mine-data.yaml").read_text()) == {"path": "data.csv", "label": "quality"}
    (point,) = yaml.safe_load((here / "mine.yaml").read_text())["points"]
    assert point["task"] == "mine-data.yaml"
    check(plan(read_preset(here / "mine.yaml"), "mine"))
    again = CliRunner().invoke(app, ["new", "mine", "--task", "data.csv", "--set", "label=quality"])
    assert "mine-data.yaml: is there already" in str(again.exception)
    refused = CliRunner().invoke(app, ["new", "other", "--task", "data.csv", "--model", "resnet8", "--set", "label=quality"])
    assert refused.exit_code
    assert not (here / "other-data.yaml").exists()


def test_a_folder_needs_no_slash(here):
    for label in ("cat", "dog"):
        (here / "pets" / label).mkdir(parents=True)
        for number in range(20):
            Image.fromarray(np.full((8, 8), 10 * number, np.uint8)).save(here / "pets" / label / f"{number}.png")
    assert CliRunner().invoke(app, ["new", "mine", "--task", "pets"]).exit_code == 0
    (point,) = yaml.safe_load((here / "mine.yaml").read_text())["points"]
    assert point["task"] == "./pets"


def test_what_cannot_be_begun_is_one_line(here):
    new_study("mine", "digits", None, here)
    (here / "wrong.py").write_text("from torch import nn\n\ndef build(i, o):\n    return nn.Flatten()\n")
    for task, model, says in (
        ("digits", None, "mine.yaml: is there already"),
        ("absent.csv", None, "absent.csv: no such file"),
        ("digits", "restnet8", "restnet8"),
        ("digits", "wrong.py:build", "has no parameters to train"),
        ("digits", "net.pt2", "no file"),
    ):
        with pytest.raises(BadInput, match=says) as caught:
            new_study("mine" if says.startswith("mine") else "other", task, model, here)
        assert "\n" not in str(caught.value)
        assert not (here / "other.yaml").exists()
