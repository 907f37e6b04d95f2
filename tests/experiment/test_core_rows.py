"""C files: a row per core with what was counted there, and from a row to a bundle that verifies."""

import json

import pytest
from typer.testing import CliRunner

from edgebook import rows
from edgebook.boards import emulated
from edgebook.cli import app
from edgebook.devices import device, fit
from edgebook.errors import BadInput
from edgebook.experiment.ship import bundle_row
from edgebook.experiment.sweep import measure
from edgebook.measure.cores import core_columns
from edgebook.runtimes.base import Artifact

COUNTED = ("flash_bytes", "ram_bytes", "stack_bytes", "instructions")
needs_tools = pytest.mark.skipif(bool(emulated.missing()), reason=str(emulated.missing()))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run whose only rows are those of an untrained baseline in C, on two cores."""
    from edgebook.experiment.notebook import baseline, start
    from edgebook.parameters import notebook_defaults

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEBOOK_REPORTS", str(tmp_path_factory.mktemp("reports")))
        shown = {"baseline_recipe": {"epochs": 1}, "runtimes": ["c"], "cores": ["cortex-m0", "cortex-m4"], "measure_s": 0}
        opened = start("60_deploy", notebook_defaults("60_deploy") | shown)
        baseline(opened)
        measure(opened)
        yield opened.run_dir


@pytest.fixture(scope="module")
def counted(run):
    """Core -> its row."""
    return {row["device"]: row for row in rows.read_rows(run)}


@needs_tools
def test_a_core_is_a_device_and_the_score_is_that_of_the_file(counted):
    small, large = counted["cortex-m0"], counted["cortex-m4"]
    assert [row["status"] for row in counted.values()] == ["ok", "ok"]
    assert [row["core"] for row in counted.values()] == ["cortex-m0", "cortex-m4"]
    assert small["score"] == large["score"]
    assert small["instructions"] > large["instructions"] > small["macs"]
    assert large["size_bytes"] < large["flash_bytes"] < large["size_bytes"] + 4000
    assert small["latency_ms_p50"] is None
    assert (small["precision"], small["weight_bits"]) == ("int8-static", 8)


@needs_tools
def test_a_board_needs_the_core_that_was_counted(counted):
    row, board = counted["cortex-m0"], device("stm32l031k6")
    needed = row["ram_bytes"] + row["stack_bytes"]
    assert fit(row, board)["margins"] == {"flash_bytes": 32_768 - row["flash_bytes"], "ram_bytes": 8_192 - needed}
    other = fit(counted["cortex-m4"], board)
    assert (other["fits"], other["why"]) == (None, "the figures are those of a cortex-m4, the device has cortex-m0")


def test_without_tools_nothing_is_counted_and_other_bytes_fail(run, counted, mnist1d, monkeypatch):
    artifact = Artifact(run / counted["cortex-m4"]["artifact"], "c", "int8-static")
    monkeypatch.setattr(emulated, "missing", lambda: "qemu-system-arm is not installed")
    columns = core_columns(artifact, mnist1d, "cortex-m4")
    assert columns == {"extra": {"not_counted": "cortex-m4: qemu-system-arm is not installed"}}

    def wrong(*arguments, **options):
        raise RuntimeError("cortex-m4: item 0: outputs differ")

    monkeypatch.setattr(emulated, "measure", wrong)
    assert core_columns(artifact, mnist1d, "cortex-m4")["status"] == "failed"


def test_a_row_becomes_a_bundle_that_verifies_by_two_commands(run, counted, tmp_path):
    row_id = counted["cortex-m4"]["row_id"]
    made = CliRunner().invoke(app, ["bundle", run.name, row_id, "--out", str(tmp_path / "bundle")])
    assert made.exit_code == 0, made.output
    command = made.output.splitlines()[-1].split()
    assert command[:2] == ["edgebook", "verify"]
    verified = CliRunner().invoke(app, command[1:])
    assert verified.exit_code == 0, verified.output
    assert "ok: c: 8 golden vectors within" in verified.output
    assert json.loads((tmp_path / "bundle" / "manifest.json").read_text())["runtime"] == "c"
    (tmp_path / "bundle" / "labels.json").write_text("[]")
    changed = CliRunner().invoke(app, command[1:])
    assert changed.exit_code == 1
    assert "DIFFERS: labels.json: was changed" in changed.output


def test_a_row_that_is_not_there_or_a_changed_file_is_one_line(run, counted, tmp_path):
    with pytest.raises(BadInput, match="row 'nothing': no row begins so; allowed: a row_id of"):
        bundle_row(run, "nothing", tmp_path / "bundle")
    row = counted["cortex-m0"]
    file = run / row["artifact"]
    source = file.read_text()
    file.write_text(source + "\n")
    with pytest.raises(BadInput, match="is not the file that was measured"):
        bundle_row(run, row["row_id"], tmp_path / "bundle")
    file.write_text(source)
