"""The data of the worked examples: the same files each time, hard enough to fail on, and nothing is written over."""

from __future__ import annotations

import numpy as np
import pytest
from repository import ROOT
from typer.testing import CliRunner

from edgebook.cli import app
from edgebook.errors import BadInput
from edgebook.tasks import load_task
from edgebook.tasks.description import AudioSettings, Description, ImageSettings
from edgebook.tasks.examples import EXAMPLES, write_example
from edgebook.user_data import data_digest


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("name", ["gas_sensor", "keywords", "roads"])
def test_the_same_files_each_time(name, tmp_path):
    for folder in ("a", "b"):
        write_example(name, tmp_path / folder, size=0.05)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert (
        data_digest(tmp_path / "a" / f"{name}.yaml")["description"] == data_digest(tmp_path / "b" / f"{name}.yaml")["description"]
    )


def test_what_is_there_is_not_written_over(tmp_path):
    write_example("gas_sensor", tmp_path, size=0.05)
    before = content(tmp_path)
    with pytest.raises(BadInput, match=r"gas_sensor\.csv: is there already"):
        write_example("gas_sensor", tmp_path, size=0.1)
    with pytest.raises(BadInput, match="'gas'"):
        write_example("gas", tmp_path)
    assert content(tmp_path) == before


def test_a_nearest_class_mean_is_far_from_perfect_on_words_of_homes_never_heard(tmp_path):
    """The words are not told apart by their mean features: what a network is for."""
    task = load_task(str(write_example("keywords", tmp_path, size=0.25)))
    x, y, x_test, y_test = (part.numpy() for part in (task.x_train, task.y_train, task.x_test, task.y_test))
    means = np.stack([x[y == label].mean((0, 1, 2)) for label in range(task.n_outputs)])
    nearest = ((x_test.mean((1, 2))[:, None] - means) ** 2).sum(-1).argmin(1)
    assert 1 / task.n_outputs < (nearest == y_test).mean() < 0.75


def test_the_command_lists_and_writes(tmp_path):
    listed = CliRunner().invoke(app, ["example"])
    assert all(f"{name}: {example.what}" in listed.stdout for name, example in EXAMPLES.items())
    written = CliRunner().invoke(app, ["example", "gas_sensor", "--folder", str(tmp_path), "--size", "0.05"])
    assert written.exit_code == 0
    assert "now: edgebook run params/examples/gas_sensor.yaml" in written.stdout
    assert (tmp_path / "gas_sensor.yaml").is_file()


@pytest.mark.parametrize("record", [Description, ImageSettings, AudioSettings])
def test_every_field_of_a_description_is_explained(record):
    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    assert [name for name in record.__dataclass_fields__ if name not in text] == []
