"""What the runtimes tell about a file: MACs, parameters, number format, and where the time goes."""

from __future__ import annotations

import pytest

from edgebook.models.macs import count_macs, count_params
from edgebook.runtimes.base import Quant, runtime
from edgebook.runtimes.export import export


@pytest.fixture(scope="module")
def int8(net, mnist1d, tmp_path_factory):
    folder = tmp_path_factory.mktemp("int8")
    quant = Quant(n_calibration=32)
    return {name: export(net, mnist1d, folder / name, runtime=name, quant=quant).path for name in ("onnx", "litert")}


@pytest.mark.parametrize("name", ["onnx", "litert"])
def test_the_files_hold_what_the_network_has(name, files, int8, net, mnist1d):
    """MACs and parameters of the exported graph equal PyTorch's; int8 is told from float."""
    for path, precision in ((files[name, "fp32"].path, "fp32"), (int8[name], "int8-static")):
        inspected = runtime(name).side("inspect").inspect(path)
        assert inspected["macs"] == count_macs(net, mnist1d.input_shape)
        assert inspected["n_params"] == count_params(net)
        assert inspected["format"] == precision
        assert inspected["int8_nodes"] == (0 if precision == "fp32" else 1)
        assert bool(inspected["n_quantize"]) == (precision != "fp32" and name == "onnx")


def test_layer_times_are_a_share_of_the_whole(int8):
    inspected = runtime("onnx").side("inspect").inspect(int8["onnx"])
    times = [layer["us"] for layer in inspected["layers"]]
    assert inspected["int8_time"] + inspected["quantize_time"] == pytest.approx(1)
    assert len(times) == inspected["n_nodes"]
    assert times == sorted(times, reverse=True)
