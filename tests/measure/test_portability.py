"""Predictions on a CPU without VNNI, emulated."""

import numpy as np
import pytest
import torch

from edgebook.measure.portability import clipped_away, portability, risky_pairs
from edgebook.runtimes.base import Quant, runtime
from edgebook.runtimes.export import export
from edgebook.tasks.kinds import KINDS


@pytest.fixture(scope="module")
def files(net, mnist1d, tmp_path_factory):
    folder = tmp_path_factory.mktemp("int8")
    quants = {"float": None, "int8": Quant(n_calibration=32), "reduced": Quant(n_calibration=32, reduce_range=True)}
    return {name: export(net, mnist1d, folder / name, runtime="onnx", quant=quant).path for name, quant in quants.items()}


def test_pairs_are_clipped_as_by_hand():
    """Two products of 255 x 127 make 64,770, of which 32,767 stay; loops over pairs agree with it for random numbers."""
    assert clipped_away(torch.tensor([[255.0], [255.0]]), torch.tensor([[127.0, 127.0]])).item() == 32767 - 64770
    x, w = torch.randint(0, 256, (7, 5)).float(), torch.randint(-127, 128, (4, 7)).float()
    for out in range(4):
        for item in range(5):
            products = [int(w[out, k] * x[k, item]) for k in range(7)] + [0]
            sums = [a + b for a, b in zip(products[::2], products[1::2])]
            change = sum(min(max(s, -32768), 32767) - s for s in sums)
            assert clipped_away(x, w)[out, item] == change
    assert not risky_pairs(torch.full((3, 8), 64.0)).any()


def test_reduced_range_gives_the_same_everywhere(files, mnist1d):
    """No pair of 7-bit weights can be clipped; the full range can, and its emulation follows the file."""
    x, agreement = mnist1d.x_test.numpy()[:200], KINDS["classification"].agreement
    outputs = {name: runtime("onnx").side("load").load(path).predict(x) for name, path in files.items()}
    full = portability(files["int8"], x, outputs["int8"], agreement)
    assert full["saturable"] > 0
    assert 0.5 < full["portability"] <= 1
    assert portability(files["reduced"], x, outputs["reduced"], agreement) == {"portability": 1.0, "saturable": 0.0}
    assert portability(files["float"], x, outputs["float"], agreement) == {}


def test_an_emulation_that_does_not_follow_the_file_is_refused(files, mnist1d):
    x = mnist1d.x_test.numpy()[:50]
    with pytest.raises(ValueError, match="the emulation agrees with the file on 0 % of the items only"):
        portability(files["int8"], x, np.zeros((50, 10), np.float32), lambda a, b: 0.0)
