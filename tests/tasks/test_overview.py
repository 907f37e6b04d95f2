"""What is understood of data: on the command line, and what it warns of."""

from dataclasses import replace

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from edgebook.cli import app
from edgebook.errors import BadInput
from edgebook.tasks import load_task
from edgebook.tasks.overview import overview


def invoke(*arguments: str):
    return CliRunner().invoke(app, ["data", *map(str, arguments)])


@pytest.fixture
def heart(tmp_path, monkeypatch):
    """900 beats of 30 patients, one in seven of them ectopic."""
    monkeypatch.setenv("EDGEBOOK_REPORTS", str(tmp_path / "reports"))
    rng = np.random.default_rng(0)
    lines = [f"p{i // 30},{'NV'[i % 7 == 0]},{rng.normal():.4f},{rng.normal():.4f}" for i in range(900)]
    (tmp_path / "heart.csv").write_text("\n".join(["patient,beat,a,b", *lines]))
    return tmp_path / "heart.csv"


def test_the_command_shows_items_classes_groups_splits_and_a_picture(heart, tmp_path):
    done = invoke(heart, "--set", "label=beat", "--set", "group=patient", "--set", "classes={N: normal, V: ectopic}")
    assert done.exit_code == 0, done.output
    text = " ".join(done.output.split())
    assert "900 of shape 2: columns a, b" in text
    assert "630 train, 90 val, 180 test" in text
    assert "30, none in two splits" in text
    assert "ectopic │ V" in text
    assert "always answering 'normal' would score an accuracy of 8" in text
    assert "metric: balanced_accuracy or macro_f1" in text
    with Image.open(tmp_path / "reports" / "data" / "heart.png") as picture:
        assert picture.width > 1000


def test_what_was_set_can_be_written_and_means_the_same(heart, tmp_path):
    file = tmp_path / "about" / "beats.yaml"
    file.parent.mkdir()
    settings = ("--set", "label=beat", "--set", "group=patient", "--set", "metric=macro_f1")
    assert invoke(heart, *settings, "--write", file).exit_code == 0
    assert yaml.safe_load(file.read_text()) == {"path": "../heart.csv", "metric": "macro_f1", "label": "beat", "group": "patient"}
    task = load_task(str(file))
    assert (task.name, task.metric.name) == ("beats", "macro_f1")
    again = invoke(heart, *settings, "--write", file)
    assert isinstance(again.exception, BadInput)
    assert "is there already" in str(again.exception)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["digits", "--set", "label=beat"], "digits is not made of your own files"),
        (["no/such.csv"], "no such file or folder"),
        (["digits", "--set", "label"], "write field=value"),
        (["digits", "--set", "a.b.c=3"], "write field=value"),
        (["digits", "--set", "label=[1"], "is not YAML"),
        (["digits", "--write", "x.yaml"], "digits is not made of your own files"),
        (["numbers"], "task 'numbers' is unknown"),
    ],
)
def test_what_is_wrong_is_one_line(arguments, says, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEBOOK_REPORTS", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    done = invoke(*arguments)
    assert isinstance(done.exception, BadInput)
    assert says in str(done.exception)


@pytest.mark.parametrize("name", ["digits", "diabetes", "shapes", "vibration"])
def test_every_kind_has_an_overview_and_a_picture(name, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEBOOK_REPORTS", str(tmp_path))
    done = invoke(name)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "data" / f"{name}.png").is_file()


def test_test_items_that_are_in_train_are_told(digits):
    leaking = replace(digits, x_test=digits.x_train[:50], y_test=digits.y_train[:50])
    assert any("50 of 50 test items are also in train" in line for line in overview(leaking).warnings)
    assert not any("also in train" in line for line in overview(digits).warnings)
