"""What is said of runs: from their records, from those that go on, and after a stop."""

import os
import time

import pytest
from typer.testing import CliRunner

from edgebook import files
from edgebook.cli import app
from edgebook.run_folder import write_run
from edgebook.runner.progress import Progress
from edgebook.runner.record import Record, write_record
from edgebook.runner.status import run_status

NAMES = ["20_done", "30_failed", "40_running", "90_waiting"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A run of four executions: one went well, one failed."""
    monkeypatch.setenv("EDGEBOOK_REPORTS", str(tmp_path))
    folder = tmp_path / "mine"
    write_run(folder, "mine.yaml", NAMES)
    write_record(folder, "20_done", Record("key", "ok", seconds=100.0))
    write_record(folder, "30_failed", Record("key", "failed", "time", "it took longer than 5 s", 5.0))
    return folder


def going(folder):
    progress = Progress(["90_waiting"], jobs=2, n_ok=1, n_failed=1, seconds=[100.0, 5.0], expected={"90_waiting": 50.0})
    progress.running["40_running"] = time.time() - 20
    progress.write(folder)


def states(folder):
    return {each.name: each.state for each in run_status(folder).executions}


def test_a_run_that_goes_on_shows_what_runs_and_about_how_long_it_takes(folder):
    going(folder)
    with files.held(folder):
        status = run_status(folder)
        assert states(folder) == dict(zip(NAMES, ["ok", "failed", "running", "waiting"]))
    start = f"2 of 4 done, 1 failed, 1 running, about 41 s left: process {os.getpid()} on "  # (50 + 52.5 - 20) / 2
    assert status.summary.startswith(start)
    assert status.executions[2].seconds == pytest.approx(20, abs=2)


def test_a_run_that_was_stopped_says_so(folder):
    going(folder)
    assert run_status(folder).summary == "1 ok, 1 failed, 2 not executed; stopped before its end: the same command goes on"
    assert states(folder)["40_running"] == "not executed"


def test_the_command_shows_one_run_or_all(folder):
    one = CliRunner().invoke(app, ["status", "mine"], env={"COLUMNS": "120"})
    assert one.exit_code == 0
    assert "time: it took longer than 5 s" in one.output
    assert CliRunner().invoke(app, ["status"]).output == "mine: 1 ok, 1 failed, 2 not executed\n"


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"waiting": []', '{"executions": 3}', '{"unknown": 1}', pytest.param("[" * 99999, id="deep")]
)
def test_files_that_cannot_be_read_are_no_traceback(content, folder):
    for name in ("progress.json", "run.json", "state/20_done.json"):
        (folder / name).write_text(content)
    assert states(folder)["30_failed"] == "failed"
