"""A notebook's files on machines over SSH: rows of their own beside this machine's, and a reason for each that cannot be used."""

import numpy as np
import pytest
from ssh_server import bare_python, free_port, needs_sshd

from edgebook import parameters, rows
from edgebook.boards import ssh
from edgebook.devices import load_devices
from edgebook.errors import BadInput
from edgebook.report import targets
from edgebook.report.document import cases


@pytest.fixture(scope="module")
def measured(ssh_server, tmp_path_factory):
    """(rows of an untrained net here and on three machines, the folder of its run): one that works, one without runtimes, one
    that is not there."""
    from edgebook.experiment.notebook import baseline, start
    from edgebook.experiment.sweep import measure

    folder = tmp_path_factory.mktemp("machines")
    url, config = ssh_server
    place = url[: url.index("/", len("ssh://"))]
    devices = [url, f"{place}{bare_python(folder)}", f"ssh://127.0.0.1:{free_port()}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEBOOK_REPORTS", str(folder / "reports"))
        patch.setenv(ssh.CONFIG, str(config))
        shown = {"baseline_recipe": {"epochs": 1}, "runtimes": ["onnx", "tflm"], "measure_s": 0.05, "ssh_devices": devices}
        opened = start("60_deploy", parameters.notebook_defaults("60_deploy") | shown)
        baseline(opened)
        yield measure(opened), opened.run_dir


def by_machine(built):
    """The rows of this machine, and those of each of the three others; the two on one address one after the other."""
    here = [row for row in built if not row["extra"].get("over_ssh")]
    return here, [row for row in built if row["extra"].get("over_ssh")]


@needs_sshd
def test_a_file_has_a_row_there_beside_its_row_here(measured):
    here, there = by_machine(measured[0])
    assert [row["runtime"] for row in here] == ["onnx", "tflm"]
    assert [row["runtime"] for row in there] == ["onnx"] * 3  # the time of tflm means nothing anywhere
    row = there[0]
    assert (row["status"], row["parent_id"], row["sha256"]) == ("ok", here[0]["row_id"], here[0]["sha256"])
    assert row["device"] == there[1]["device"] != here[0]["device"] == "host"
    assert (row["score"], row["val_score"], row["agreement"]) == (here[0]["score"], here[0]["val_score"], 1.0)
    assert row["latency_ms_p50"] > 0
    assert row["session"] != here[0]["session"]
    assert row["baseline_id"] == row["row_id"]
    assert row["machine"]["cpu"]
    with np.load(measured[1] / row["samples"]) as samples:
        assert len(samples[f"{row['row_id']}.item_scores"]) == row["n_test"]
    assert rows.read_rows(measured[1]) == measured[0]


@needs_sshd
def test_a_machine_that_cannot_be_used_is_one_line_and_the_others_go_on(measured):
    without, unreachable = by_machine(measured[0])[1][1:]
    assert (without["status"], without["extra"]["unsupported"]) == ("unsupported", "library")
    assert without["error"].startswith("onnx cannot be loaded by")
    assert (unreachable["status"], unreachable["latency_ms_p50"]) == ("failed", None)
    assert unreachable["error"].endswith("Connection refused")
    assert "\n" not in unreachable["error"]


@needs_sshd
def test_the_report_keeps_the_machines_apart(measured):
    built, devices = measured[0], load_devices()
    here, (there, *_) = by_machine(built)
    lines = targets.lines(built, devices)
    assert lines[-3]["runtime"] == f"onnx on {there['device']}"
    assert lines[-3]["fits"].startswith(there["machine"]["cpu"])
    assert [line["version"] for line in lines[-2:]] == ["files over SSH"] * 2
    settings = [(case.setting, len(case.rows)) for case in cases(built)]
    assert settings[1] == (f"on {there['device']}, 1 thread, 1 item per call", 1)
    only_here = targets.lines(here, devices)
    assert only_here == lines[: len(only_here)]


def test_another_device_is_refused_before_anything_starts():
    for bad in ("pi@board", "http://pi", "ssh://-oProxyCommand=x"):
        with pytest.raises(BadInput, match="ssh_devices"):
            parameters.check({"ssh_devices": [bad]}, where="preset")
