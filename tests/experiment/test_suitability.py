"""What `edgebook doctor --model --task` finds: figures where it works, the reason in one line where it does not."""

from __future__ import annotations

import re
import runpy

import pytest
from repository import ROOT
from torch import nn

from edgebook.experiment.suitability import FORMATS, OF_RECURRENT, RUNTIMES, STAGES, Subject, examine, tried
from edgebook.models import allow_network, build_model
from edgebook.models.network_file import VARIABLE
from edgebook.runtimes.base import runtime
from edgebook.training.network_check import check_network

NETWORKS = ROOT / "benchmarks" / "layer_networks.py"
LAYERS = runpy.run_path(str(NETWORKS))["LAYERS"]


@pytest.fixture(autouse=True)
def nothing_is_allowed(monkeypatch):
    monkeypatch.setenv(VARIABLE, "")


def by_stage(function, task):
    name = f"{NETWORKS}:{function}"
    allow_network(name)
    return {finding.stage: finding for finding in examine(task, name, runtimes=("onnx",))}


@pytest.mark.parametrize("function", LAYERS)
def test_every_layer_of_the_benchmark_is_a_network_of_its_task(function, digits, mnist1d):
    task = mnist1d if function.startswith("sequence") else digits
    allow_network(f"{NETWORKS}:{function}")
    check_network(build_model(f"{NETWORKS}:{function}", task.input_shape, task.n_outputs), task)


def test_what_works_comes_with_figures_and_what_stays_with_its_reason(digits):
    found = by_stage("image_shuffled", digits)
    assert set(found) == {"network", *STAGES, *(f"onnx {precision}" for precision, _ in FORMATS)} - {*OF_RECURRENT}
    assert all(finding.works for finding in found.values())
    assert found["network"].detail.startswith("2,810 parameters")
    assert "middle.first stays: without some of its channels" in found["prunes channels"].detail
    assert found["onnx fp32"].detail.endswith("agrees with the network 100%")


def test_a_network_that_does_not_fit_is_all_that_is_found(tmp_path, digits):
    (tmp_path / "net.py").write_text("from torch import nn\n\ndef build(i, o):\n    return nn.Flatten()\n")
    allow_network(f"{tmp_path}/net.py:build")
    (finding,) = examine(digits, f"{tmp_path}/net.py:build")
    assert (finding.stage, finding.works) == ("network", False)
    assert "has no parameters to train" in finding.detail


def test_a_reason_comes_with_what_replaces_it(digits):
    def fails(subject):
        raise RuntimeError("MultiheadAttention is in the way\nand more")

    finding = tried("prunes channels", fails, Subject(digits, nn.Identity()))
    assert not finding.works
    assert finding.detail.startswith("RuntimeError: MultiheadAttention is in the way; instead: convolutions")


def test_the_page_has_every_layer_and_a_reason_for_what_does_not_work():
    text = (ROOT / "docs" / "layers.md").read_text(encoding="utf-8")
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\|.*\|$", text, re.M)]
    first, second = (number for number, line in enumerate(lines) if line[0] == "layer")
    table, files = lines[first:second], lines[second:]
    assert set(table[0][1:]) == {"network", *STAGES}
    formats = [(name, precision) for name in RUNTIMES for precision, _ in FORMATS]
    assert set(files[0][1:]) == {f"{name} {each}" for name, each in formats if each in runtime(name).precisions}
    assert [line[0] for line in table[2:]] == [line[0] for line in files[2:]] == list(LAYERS.values())
    reasons = re.findall(r"^(\d+)\. .{10,}$", text, re.M)
    cells = {cell for line in table[2:] + files[2:] for cell in line[1:]}
    assert {re.sub(r" \(\d+\)", "", cell) for cell in cells} <= {"works", "no", "–"}
    assert {cell.partition("(")[2].rstrip(")") for cell in cells if "(" in cell} == set(reasons)
