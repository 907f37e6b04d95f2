"""What `edgebook doctor --model --task` finds: figures where it works, the reason in one line where it does not."""

from __future__ import annotations

import re
import runpy

import pytest
from repository import ROOT
from torch import nn

from edgebook.experiment.suitability import FORMATS, STAGES, Subject, examine, tried
from edgebook.models import allow_network

NETWORKS = ROOT / "benchmarks" / "layer_networks.py"
LAYERS = runpy.run_path(str(NETWORKS))["LAYERS"]
PAGE = (ROOT / "docs" / "layers.md").read_text(encoding="utf-8")
TABLE = [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\|.*\|$", PAGE, re.M)]


def by_stage(function, task):
    name = f"{NETWORKS}:{function}"
    allow_network(name)
    return {finding.stage: finding for finding in examine(task, name, runtimes=("onnx",))}


def test_the_table_of_layers_has_every_layer_and_everything_that_is_tried():
    stages = ["network", *STAGES, *(f"onnx {precision}" for precision, _ in FORMATS)]
    assert set(TABLE[0][1:]) == set(stages)
    assert [line[0] for line in TABLE[2:]] == list(LAYERS.values())
    assert {cell.split(" (")[0] for line in TABLE[2:] for cell in line[1:]} <= {"works", "no", ""}


@pytest.mark.parametrize("function", ["image_shuffled", "sequence_gru"])
def test_the_table_says_what_is_found_today(function, digits, mnist1d):
    found = by_stage(function, mnist1d if function.startswith("sequence") else digits)
    (line,) = [line for line in TABLE[2:] if line[0] == LAYERS[function]]
    said = {stage: cell.startswith("works") for stage, cell in zip(TABLE[0][1:], line[1:]) if cell}
    assert {stage: said[stage] for stage in found} == {stage: finding.works for stage, finding in found.items()}
    assert "parameters" in found["network"].detail
    assert "agrees with the network" in found["onnx fp32"].detail


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
