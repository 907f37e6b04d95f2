"""`edgebook autotune` as it is typed: what it executes, and what it refuses before anything is written."""

import signal

import pytest

from edgebook import files
from edgebook.cli import autotune as command
from edgebook.errors import BadInput
from edgebook.runner.plan import plan
from edgebook.runner.preset import read_preset
from edgebook.runner.run import MARKS
from edgebook.runner.signals import Stop


@pytest.fixture
def executed(monkeypatch, tmp_path):
    """A function that types the command, and gives the executions that it would start."""
    monkeypatch.setenv("EDGEBOOK_REPORTS", str(tmp_path))
    planned = []

    def run_preset(preset, name, options, calls):
        files.check_own(tmp_path / name, MARKS)  # as the run itself does
        planned.extend(plan(read_preset(preset), name))
        return 0

    monkeypatch.setattr("edgebook.runner.run.run_preset", run_preset)
    monkeypatch.setattr("edgebook.cli.runs.report", lambda name: None)

    def typed(*arguments, **options):
        planned.clear()
        command.autotune(*arguments, **options)
        return planned

    return typed


def test_a_data_set_is_one_execution_with_the_network_for_its_items(executed):
    (execution,) = executed("digits", board="nrf52840", minutes=3.0, ram_kb=8.0, set_=["n_trials=5"])
    assert (execution.notebook, execution.params["task"], execution.params["model"]) == ("55_autotune", "digits", "resnet8")
    known = {name: execution.params[name] for name in ("board", "minutes", "ram_bytes", "flash_bytes", "max_loss", "n_trials")}
    assert known == {
        "board": "nrf52840",
        "minutes": 3.0,
        "ram_bytes": 8000.0,
        "flash_bytes": None,
        "max_loss": None,
        "n_trials": 5,
    }
    assert executed("mnist1d", board="nrf52840")[0].params["model"] == "conv1d"
    assert executed("mnist1d", board="nrf52840", model="mlp")[0].params["model"] == "mlp"


def test_a_preset_gives_its_points_and_what_it_says_of_the_notebook(executed):
    executions = executed("smoke", board="stm32f746", max_loss=0.02)
    assert [(one.notebook, one.params["model"]) for one in executions] == [("55_autotune", "conv1d"), ("55_autotune", "gru")]
    assert executions[0].params["board"] == "stm32f746"
    assert executions[0].params["distill_recipe"] == {"epochs": 1}
    assert executions[0].params["max_loss"] == 0.02


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (["digits"], {"board": "nowhere"}, "nowhere"),
        (["digits"], {"board": "nrf52840", "minutes": 0.0}, "minutes = 0.0"),
        (["digits"], {"board": "nrf52840", "set_": ["hours=3"]}, "hours is not a parameter"),
        (["letters"], {"board": "nrf52840"}, "'letters' is neither a preset nor a data set"),
        (["digits"], {"board": "nrf52840", "flash_kb": -1.0}, "flash_bytes"),
        (["digits"], {"board": "nrf52840", "flash_kb": 9999.0}, "flash_bytes = 9.999e\\+06; allowed: at most the 1.04858e\\+06"),
        (["digits"], {"board": "raspberry-pi-4b-1gb", "ram_kb": 8.0}, "onnx on raspberry-pi-4b-1gb plans no memory"),
        (["digits"], {"board": "nrf52840", "set_": ["latency_budget_ms=2"]}, "nothing estimates the latency on nrf52840"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_written(arguments, options, said, executed, tmp_path):
    with pytest.raises(BadInput, match=said):
        executed(*arguments, **options)
    assert not list(tmp_path.iterdir())


def test_a_folder_with_other_files_is_left_alone(executed, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(BadInput, match="has other files"):
        executed("digits", board="nrf52840", name="mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_the_first_ctrl_c_tells_executions_to_end_early(tmp_path, capsys):
    stop = Stop(n_running=1, file=tmp_path / "stop")
    stop.on_signal(signal.SIGINT, None)
    assert stop.asked
    assert (tmp_path / "stop").exists()
    assert "finished first" in capsys.readouterr().err
