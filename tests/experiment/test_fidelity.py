"""A file that is not the network that it was made from has no score; one whose numbers cost answers keeps its own."""

from __future__ import annotations

import copy

import pytest
import torch

from edgebook.experiment import sweep
from edgebook.experiment.notebook import baseline, start, version
from edgebook.parameters import notebook_defaults
from edgebook.runtimes.base import Quant

CHANGES = {"another network": 1.0, "almost the same": 1e-4}


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """A function that measures the float and the int8 file of a network whose weights are moved on the way to the exporter."""
    monkeypatch.setenv("EDGEBOOK_REPORTS", str(tmp_path))
    export = sweep.export

    def measure(change):
        def of_another(model, *arguments, **more):
            other = copy.deepcopy(model)
            generator = torch.Generator().manual_seed(0)
            for weight in other.parameters():
                moved = torch.randn(weight.shape, generator=generator)
                weight.data = (1 - change) * weight.data + change * moved * weight.data.std(unbiased=False)
            return export(other, *arguments, **more)

        monkeypatch.setattr(sweep, "export", of_another)
        values = {"baseline_recipe": {"epochs": 2}, "runtimes": ["onnx"], "measure_s": 0, "model": "mlp"}
        nb = start("10_baseline", notebook_defaults("10_baseline") | values)
        net = baseline(nb)
        with version(nb, "", label="int8", family="quantize", quants=[Quant(n_calibration=32)]) as made:
            made.model = net
        return sweep.measure(nb)

    return measure


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_float_file_has_the_answers_of_its_network_or_fails(change, measured):
    floating, integers = measured(change)
    if change == 1.0:
        assert floating["fidelity"] < 0.5
        assert floating["status"] == "failed"
        assert floating["error"].startswith("the file agrees with its own network on ")
        assert floating["error"].endswith(" of the items; at least 98% are needed")
    else:
        assert floating["fidelity"] > 0.98
        assert (floating["status"], floating["error"]) == ("ok", None)
    assert integers["status"] == "ok"  # rounding may cost answers: the score shows it
